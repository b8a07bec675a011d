"""Broken samples of a stage's data: each is told once, and too many of them end the run."""

from collections.abc import Callable, Iterable
from typing import Final

from ssa_stream.errors import ConfigError
from ssa_stream.training.data.batch import BrokenSample

__all__ = ["BrokenSamples"]

_MOST_NAMED: Final = 10
"""In the error."""


class BrokenSamples:
    """Counts the samples of a stage that were skipped on this device.

    A resumed run counts anew: it comes upon the same samples again.

    Args:
        stage: The stage's name.
        tell: Told of each sample once.
    """

    def __init__(self, stage: str, tell: Callable[[BrokenSample], None]) -> None:
        self._stage, self._tell = stage, tell
        self._seen: dict[str, str] = {}

    def add(self, samples: Iterable[BrokenSample]) -> None:
        """Take note of what a batch skipped.

        Raises:
            ConfigError: Too much of the data is broken.
        """
        for sample in samples:
            if sample.sample in self._seen:
                continue
            self._seen[sample.sample] = sample.reason
            self._tell(sample)
            if len(self._seen) > sample.most:
                named = "; ".join(f"{name}: {reason}" for name, reason in list(self._seen.items())[:_MOST_NAMED])
                more = f"; and {len(self._seen) - _MOST_NAMED} more" if len(self._seen) > _MOST_NAMED else ""
                raise ConfigError(
                    f"stage {self._stage}: {len(self._seen)} samples are broken, and data.broken_share allows "
                    f"{sample.most}: {named}{more}. Repair the data set, or allow a larger share"
                )
