"""Reader of the MeViS format: the public data sets, versions 1 and 2, and ours from `write_mevis`.

On disk: `JPEGImages/<video>/<frame>.jpg`, or the same in `JPEGImages.tar`; `meta_expressions.json` or, of version 2,
`meta_expressions_v2.json` or `meta_expressions_v2_release.json`; where masks are public, `mask_dict.json`. Indexes of
masks and packed pictures are kept; frames and masks are read when they are asked for. For limits see `reading`.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ssa_stream.data.meta_expressions import read_meta_expressions
from ssa_stream.data.mevis_masks import MaskTracks, Track
from ssa_stream.data.packed_pictures import PackedPicture, index_pictures
from ssa_stream.data.reading import (
    expect_to_fit,
    frame_at,
    optional_field,
    picture_size,
    read_frames,
)
from ssa_stream.data.referring import ReferringExpression, ReferringVideo
from ssa_stream.errors import ConfigError
from ssa_stream.texts import brief

__all__ = ["MevisReader"]

_EXPECTED: Final = "a directory in the MeViS format"
_MOST_TARGETS: Final = 1000
_META_NAMES: Final = ("meta_expressions.json", "meta_expressions_v2.json", "meta_expressions_v2_release.json")
"""The first is of version 1, the others of version 2; the last has no targets."""
_PICTURES: Final = "JPEGImages"


class MevisReader:
    """Reads one split's directory.

    Args:
        directory: Where the file of sentences and `JPEGImages` or `JPEGImages.tar` are.

    Raises:
        ConfigError: If a file is missing, unreadable or not in the format.
    """

    def __init__(self, directory: Path | str) -> None:
        self._root = Path(directory)
        self._meta_path = _find_meta(self._root)
        self._videos = read_meta_expressions(self._meta_path, _EXPECTED, self._parse_targets)
        self._archive = _find_archive(self._root)
        self._packed: dict[tuple[str, str], tuple[int, int]] | None = None
        self._masks = MaskTracks(self._root / "mask_dict.json", _EXPECTED)

    def __getstate__(self) -> dict[str, Any]:
        """A process that is given this reader is given its indexes."""
        with suppress(ConfigError):  # it is told where the masks or frames are asked for
            self.read_indexes()
        return self.__dict__

    def read_indexes(self) -> None:
        """Read where masks and packed pictures are now; without, when the first is asked for.

        For processes that are forked: each would read them again.

        Raises:
            ConfigError: If a file is missing, unreadable or not in the format.
        """
        if self._archive is not None:
            self._pictures_of_archive(self._archive)
        if any(expression.target_ids for video in self._videos.values() for expression in video.expressions):
            self._masks.read_index()

    @property
    def version(self) -> int:
        """Of MeViS: 2 where the file of sentences has a name of version 2, else 1."""
        return 1 if self._meta_path.name == _META_NAMES[0] else 2

    @property
    def videos(self) -> tuple[str, ...]:
        """The videos' names, in the file's order."""
        return tuple(self._videos)

    def video(self, name: str) -> ReferringVideo:
        """Give a video's frame names and sentences.

        Raises:
            ConfigError: If there is no such video.
        """
        if name not in self._videos:
            raise ConfigError(f"{self._meta_path} has no video {brief(name)}; it has {len(self._videos)} others")
        return self._videos[name]

    def frames(self, name: str, indices: Sequence[int] | None = None) -> npt.NDArray[np.uint8]:
        """Read frames, all of them unless told which.

        Returns:
            `(T, H, W, 3)` uint8 RGB.

        Raises:
            ConfigError: If a picture is missing, broken or of another size than the first.
        """
        names = self.video(name).frames
        chosen = range(len(names)) if indices is None else indices
        paths = [self._picture(name, frame_at(names, index, name)) for index in chosen]
        return read_frames(paths, self._meta_path.name)

    def masks(
        self, name: str, expression: ReferringExpression, indices: Sequence[int] | None = None
    ) -> npt.NDArray[np.bool_]:
        """Decode the masks of a sentence's targets, in all frames unless told which.

        Returns:
            `(n, T, H, W)` bool, in the order of `target_ids`; without targets `(0, T, H, W)` with the
            size of the video's first frame.

        Raises:
            ConfigError: If the targets are not in the data, or a mask is missing, broken or of another size than the
                video.
        """
        sizes = self._sizes(name, expression)
        height, width = self.size(name)
        if sizes and sizes[0] != (height, width):
            raise ConfigError(
                f"{self._masks.path}: masks of anno_id {', '.join(expression.target_ids)} are of "
                f"{sizes[0][1]}x{sizes[0][0]} pixels; expected {width}x{height}, the size of the frames of {name!r}"
            )
        return self._decoded(name, expression, indices, (height, width))

    def stored_size(self, name: str, expression: ReferringExpression) -> tuple[int, int] | None:
        """Height and width of a sentence's masks; None if its targets have a mask in no frame.

        Raises:
            ConfigError: As `masks` does; or its masks differ in size.
        """
        sizes = self._sizes(name, expression)
        if (other := next((size for size in sizes if size != sizes[0]), None)) is not None:
            raise ConfigError(
                f"{self._masks.path}: masks of anno_id {', '.join(expression.target_ids)} are of "
                f"{sizes[0][1]}x{sizes[0][0]} and of {other[1]}x{other[0]} pixels; expected one size"
            )
        return sizes[0] if sizes else None

    def stored_masks(
        self, name: str, expression: ReferringExpression, indices: Sequence[int] | None = None
    ) -> npt.NDArray[np.bool_]:
        """As `masks`, in the size that they have: the video's pictures are not looked at."""
        size = self.stored_size(name, expression)
        if size is None:
            length = len(self.video(name).frames if indices is None else indices)
            return np.zeros((0, length, 1, 1), np.bool_)
        return self._decoded(name, expression, indices, size)

    def _sizes(self, name: str, expression: ReferringExpression) -> list[tuple[int, int]]:
        rles = (rle for track in self._tracks(name, expression) for rle in track if rle is not None)
        return [(rle["size"][0], rle["size"][1]) for rle in rles]

    def _tracks(self, name: str, expression: ReferringExpression) -> list[Track]:
        if expression.problem:
            raise ConfigError(expression.problem)
        if not expression.has_targets:
            raise ConfigError(f"{self._meta_path} gives no anno_id for {expression.text!r} of {name!r}: no masks")
        length = len(self.video(name).frames)
        return [self._masks.track(anno_id, length) for anno_id in expression.target_ids]

    def _decoded(
        self, name: str, expression: ReferringExpression, indices: Sequence[int] | None, size: tuple[int, int]
    ) -> npt.NDArray[np.bool_]:
        names, tracks = self.video(name).frames, self._tracks(name, expression)
        chosen = list(range(len(names)) if indices is None else indices)
        for index in chosen:
            frame_at(names, index, name)
        height, width = size
        expect_to_fit((len(tracks), len(chosen), height, width), f"masks of {expression.expression_id} of {name}")
        decoded = np.zeros((len(tracks), len(chosen), height, width), np.bool_)
        for row, track in enumerate(tracks):
            for column, index in enumerate(chosen):
                mask = self._masks.decode(track, index, size, expression.target_ids[row])
                if mask is not None:
                    decoded[row, column] = mask
        return decoded

    def size(self, name: str) -> tuple[int, int]:
        """Height and width of a video's first frame; of its first mask, where there are no pictures."""
        video = self.video(name)
        picture = self._picture(name, video.frames[0])
        if isinstance(picture, Path) and not os.path.lexists(picture):
            targets = (target for expression in video.expressions for target in expression.target_ids)
            for rle in (rle for target in targets for rle in self._masks.track(target, len(video.frames))):
                if rle is not None:
                    return rle["size"][0], rle["size"][1]
        return picture_size(picture, self._meta_path.name)

    def _picture(self, video: str, frame: str) -> Path | PackedPicture:
        if self._archive is None:
            return self._root / _PICTURES / video / f"{frame}.jpg"
        found = self._pictures_of_archive(self._archive).get((video, f"{frame}.jpg"))
        if found is None:
            raise ConfigError(f"{self._archive} has no {video}/{frame}.jpg; {self._meta_path.name} names it")
        return PackedPicture(self._archive, f"{_PICTURES}/{video}/{frame}.jpg", *found)

    def _pictures_of_archive(self, archive: Path) -> dict[tuple[str, str], tuple[int, int]]:
        if self._packed is None:
            self._packed = index_pictures(archive)
        return self._packed

    def _parse_targets(self, key: str, text: str, entry: dict[str, Any], where: str) -> ReferringExpression:
        path = self._meta_path
        if "anno_id" not in entry:
            return ReferringExpression(key, text, has_targets=False)
        anno_ids = entry["anno_id"]
        if not isinstance(anno_ids, list) or not all(_is_id(value) for value in anno_ids):
            problem = f"{path}: {where}.anno_id is {brief(anno_ids)}; expected a list of ids of mask_dict.json"
            return ReferringExpression(key, text, problem=problem)
        if len(anno_ids) > _MOST_TARGETS:
            problem = f"{path}: {where}.anno_id has {len(anno_ids)} ids; expected at most {_MOST_TARGETS}"
            return ReferringExpression(key, text, problem=problem)
        return ReferringExpression(
            key,
            text,
            tuple(dict.fromkeys(str(value) for value in anno_ids)),
            type=optional_field(entry, "type", str, path, where),
            held_out_pair=optional_field(entry, "held_out_pair", bool, path, where),
            held_out_phrasing=optional_field(entry, "held_out_phrasing", bool, path, where),
        )


def _find_meta(root: Path) -> Path:
    """The file of sentences: of version 2 the one with targets, where there are two."""
    found = [name for name in _META_NAMES if os.path.lexists(root / name)]
    if not found:
        missing = root / _META_NAMES[0]
        raise ConfigError(f"{missing} is missing, or {_META_NAMES[1]}; expected {_EXPECTED}") from FileNotFoundError()
    if found[0] == _META_NAMES[0] and len(found) > 1:
        raise ConfigError(
            f"{root} has {found[0]} of MeViS version 1 and {found[1]} of version 2; expected one: remove the other"
        )
    return root / found[0]


def _find_archive(root: Path) -> Path | None:
    """The tar file of the pictures, where it was not unpacked."""
    archive = root / f"{_PICTURES}.tar"
    return archive if os.path.lexists(archive) and not (root / _PICTURES).is_dir() else None


def _is_id(value: object) -> bool:
    return type(value) is int or (isinstance(value, str) and len(value) <= 200)
