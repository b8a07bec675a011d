"""What is fuzzed: everything that reads what others wrote."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fuzzing import checkpoints, codec, datasets, object_sets, pipelines
from benchmarks.fuzzing.gateway import http, sdp
from benchmarks.fuzzing.trying import Attempt, Target

__all__ = ["TARGETS"]


@dataclass(frozen=True)
class _Reader:
    """A target that needs nothing but a folder to write its inputs to; another process can be handed it.

    Attributes:
        attempt: See `Attempt`; given the folder, too.
    """

    attempt: Callable[[int, Path], str]

    @contextmanager
    def __call__(self, folder: Path) -> Iterator[Attempt]:
        """Prepare nothing."""

        def attempt(seed: int) -> str:
            with tempfile.TemporaryDirectory(dir=folder) as own:  # some inputs are links, pipes or folders
                return self.attempt(seed, Path(own))

        yield attempt


TARGETS: Mapping[str, Target] = {
    "codec": _Reader(codec.attempt),
    "sdp": sdp,
    "http": http,
    "pipelines": _Reader(pipelines.attempt),
    "datasets": _Reader(datasets.attempt),
    "object_sets": _Reader(object_sets.attempt),
    "checkpoints": _Reader(checkpoints.attempt),
}
