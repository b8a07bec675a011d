"""Reader of JHMDB-Sentences: pictures, puppet masks, and the frozen list of the frames that are scored."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ssa_stream.data.puppet_masks import read_puppet_masks
from ssa_stream.data.reading import frame_at, is_file_name, picture_size, read_frames, read_json, whole_number
from ssa_stream.data.referring import ReferringExpression, ReferringVideo
from ssa_stream.data.text_tables import plain_sentence
from ssa_stream.errors import ConfigError
from ssa_stream.texts import brief

__all__ = ["JHMDB_LIST", "JhmdbSentences"]

JHMDB_LIST: Final = "jhmdb_sentences_samples_metadata.json"
_FOLDER: Final = "jhmdb_sentences"
_EXPECTED: Final = (
    "the frozen list of sampled frames, the same for all published figures, which is in MTTR's repository "
    "(mttr2021/MTTR, datasets/jhmdb_sentences); `ssa-stream data jhmdb-list` makes one of your own, "
    "whose figures cannot be compared with published ones"
)
_MOST_BYTES: Final = 64 * 2**20
_MOST_FRAMES: Final = 100_000
_ONLY: Final = "0"
"""Id of a video's sentence and of its person: there is one of each."""


@dataclass
class _Listed:
    """A video of the list."""

    folder: Path
    masks: Path
    usable: int
    text: str
    numbers: list[int] = field(default_factory=list)


class JhmdbSentences:
    """Reads the only split.

    A video's frames are the usable ones: those that have a picture and a mask, as the list counts them.

    Args:
        root: The folder with `Rename_Images`, `puppet_mask` and the list.
        split: `test`.
    Attributes:
        listed_samples: Rows of the list; 2,784 in the published one.
    Raises:
        ConfigError: The list is missing, unreadable or not in the format.
    """

    def __init__(self, root: Path | str, split: str = "test") -> None:
        if split != "test":
            raise ConfigError(f"JHMDB-Sentences has no split {brief(split)}; expected test")
        self._root = Path(root)
        self._path = self._root / JHMDB_LIST
        rows = read_json(self._path, _MOST_BYTES, _EXPECTED)
        if not isinstance(rows, list) or not rows:
            raise ConfigError(f"{self._path} is {brief(rows)}; expected a list of samples")
        self._listed: dict[str, _Listed] = {}
        for position, row in enumerate(rows):
            self._take(row, f"{self._path}, row {position}")
        self.listed_samples = len(rows)

    @property
    def videos(self) -> tuple[str, ...]:
        """The videos' names, in the list's order."""
        return tuple(self._listed)

    def video(self, name: str) -> ReferringVideo:
        """Give a video's frame names and its sentence; ConfigError if there is no such video."""
        listed = self._of(name)
        numbers = sorted(listed.numbers)
        sentence = ReferringExpression(
            _ONLY,
            listed.text,
            (_ONLY,),
            annotated=tuple(number - 1 for number in numbers),
            sample_ids=tuple(f"v_{name}_f_{number}" for number in numbers),
        )
        return ReferringVideo(name, tuple(f"{number:05d}" for number in range(1, listed.usable + 1)), (sentence,))

    def frames(self, name: str, indices: Sequence[int] | None = None) -> npt.NDArray[np.uint8]:
        """Read frames, all usable ones unless told which.

        Returns:
            `(T, H, W, 3)` uint8 RGB.
        Raises:
            ConfigError: A picture is missing, broken or of another size than the first.
        """
        names, folder = self.video(name).frames, self._of(name).folder
        chosen = range(len(names)) if indices is None else indices
        return read_frames([folder / f"{frame_at(names, index, name)}.png" for index in chosen], self._path.name)

    def masks(
        self, name: str, expression: ReferringExpression, indices: Sequence[int] | None = None
    ) -> npt.NDArray[np.bool_]:
        """Read the person's masks, `(1, T, H, W)` bool, in the listed frames unless told which.

        Raises:
            ConfigError: The masks are missing, broken or fewer than the list says.
        """
        listed = self._of(name)
        chosen = list((expression.annotated or ()) if indices is None else indices)
        masks = read_puppet_masks(listed.masks)
        for index in chosen:
            if not 0 <= index < min(listed.usable, len(masks)):
                raise ConfigError(
                    f"{listed.masks} has {len(masks)} masks, and {self._path.name} says that {listed.usable} can be "
                    f"used; there is none for frame {index + 1}"
                )
        return masks[chosen][None]

    def size(self, name: str) -> tuple[int, int]:
        """Height and width of a video's first frame."""
        return picture_size(self._of(name).folder / "00001.png", self._path.name)

    def _of(self, name: str) -> _Listed:
        if name not in self._listed:
            raise ConfigError(f"{self._path} has no video {brief(name)}; it has {len(self._listed)} others")
        return self._listed[name]

    def _take(self, row: Any, where: str) -> None:
        """Take note of a sample of the list."""
        if not isinstance(row, list) or len(row) != 5 or not all(isinstance(row[at], str) for at in (0, 1, 2, 4)):
            raise ConfigError(f"{where} is {brief(row)}; expected [video, picture, masks, usable frames, sentence]")
        name, picture_name, masks_name, usable, text = row
        picture, masks = (
            self._inside(text, top, where)
            for text, top in ((picture_name, "Rename_Images"), (masks_name, "puppet_mask"))
        )
        number = whole_number(picture.stem)
        if not is_file_name(name):
            raise ConfigError(f"{where}: the video is {brief(name)}; expected a name that can be one of a folder")
        if type(usable) is not int or not 1 <= usable <= _MOST_FRAMES:
            raise ConfigError(f"{where}: {brief(usable)} usable frames; expected 1 to {_MOST_FRAMES:,}")
        if number is None or picture.name != f"{number:05d}.png" or not 1 <= number <= usable:
            raise ConfigError(f"{where}: the picture is {picture.name}; expected 00001.png to {usable:05d}.png")
        new = _Listed(picture.parent, masks, usable, plain_sentence(text, where))
        listed = self._listed.setdefault(name, new)
        if (listed.folder, listed.masks, listed.usable, listed.text) != (new.folder, masks, usable, new.text):
            raise ConfigError(f"{where}: {brief(name)} has other paths, usable frames or words than in an earlier row")
        if number in listed.numbers:
            raise ConfigError(f"{where}: frame {number} of {brief(name)} comes twice")
        listed.numbers.append(number)

    def _inside(self, text: str, top: str, where: str) -> Path:
        """A path of the list, which starts at the parent of the data set's folder; that folder may have any name."""
        parts = text.removeprefix("./").split("/")
        if len(parts) != 5 or parts[:2] != [_FOLDER, top] or not all(map(is_file_name, parts)):
            raise ConfigError(f"{where}: a path is {brief(text)}; expected ./{_FOLDER}/{top}/ACTION/VIDEO/FILE")
        return self._root.joinpath(*parts[1:])
