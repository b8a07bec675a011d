"""What is scored: a data set, a split, and a place of predictions."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ssa_stream.cores import usable_cores
from ssa_stream.data.kinds import DataPlace, open_data, split_of
from ssa_stream.data.referring import ReferringData
from ssa_stream.errors import ConfigError, misnamed
from ssa_stream.files import open_ordinary

__all__ = ["OnProgress", "ScoreRequest", "expect_folder", "expect_no_zip", "truth_beside"]

_TRUTH: Final = "extra_valid_truth"
_ZIP: Final = b"PK\x03\x04"

OnProgress = Callable[[int, int], None]
"""Told how many samples are done, and of how many."""


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """Predictions to score, and what against.

    Attributes:
        place: The data set.
        split: One of its splits; None for the one that is evaluated by default.
        predictions: Their folder or file.
        truth: Folder of masks that are not part of the data set, such as those of Ref-YouTube-VOS' valid split.
        workers: Processes; None for one a core.
    """

    place: DataPlace
    split: str | None
    predictions: Path
    truth: Path | None = None
    workers: int | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be scored.

        Raises:
            ConfigError: The predictions or the truth are not there, there is no such split, or no process is to work.
        """
        split_of(self.place.kind, self.split)
        if not self.predictions.exists():
            raise ConfigError(f"predictions {self.predictions} are not there; give the folder or file that holds them")
        if self.truth is not None and not self.truth.is_dir():
            raise ConfigError(f"truth {self.truth} is no folder; expected one with the masks of the split")
        if self.workers is not None and self.workers < 1:
            raise ConfigError(f"workers are {self.workers}; expected 1 or more")

    @property
    def split_name(self) -> str:
        """The split's name as the data set has it."""
        return split_of(self.place.kind, self.split)

    @property
    def num_workers(self) -> int:
        """How many processes may work."""
        return self.workers or usable_cores()

    def open_data(self) -> ReferringData:
        """Open the split, with the truth if that lies elsewhere."""
        if self.truth is None:
            return open_data(self.place, self.split)
        return open_data(self.place, self.split, truth=self.truth)


def truth_beside(place: DataPlace, split: str | None) -> Path | None:
    """The folder of masks of Ref-YouTube-VOS' valid split, which are not part of the release, if it is near.

    Args:
        place: The data set; the folder is called `extra_valid_truth`, and is in the root or one or two folders above.
        split: Of the data set.
    Returns:
        None for other data sets and splits, and where the split has masks of its own.
    """
    if place.kind.name != "ref-youtube-vos" or split_of(place.kind, split) != "valid":
        return None
    root = place.root.absolute()
    if (root / "valid/Annotations").exists():
        return None
    near = (folder / _TRUTH for folder in (root, *root.parents[:2]))
    return next((folder for folder in near if (folder / "Annotations").is_dir()), None)


def expect_no_zip(place: Path) -> None:
    """Refuse a zip, as servers take it, in place of what is in it.

    Raises:
        ConfigError: It is one.
    """
    try:
        with open_ordinary(place) as file:
            is_zip = file.read(len(_ZIP)) == _ZIP
    except OSError:  # whoever reads it says what is wrong
        return
    if is_zip:
        raise ConfigError(f"{place} is a zip: unpack it first, and give what was in it")


def expect_folder(place: Path) -> None:
    """Refuse what is no folder of pictures.

    Raises:
        ConfigError: It is a zip, a file or not there.
    """
    if not place.is_dir():
        expect_no_zip(place)
        what = "a file" if place.is_file() else "no folder"
        expected = "the folder of pictures, <video>/<expression>/<frame>.png"
        raise misnamed(ConfigError(f"{place} is {what}; expected {expected}"))
