"""Videos with a picture of object numbers for each frame: what Ref-YouTube-VOS and Ref-DAVIS17 have in common.

On disk: `<pictures>/<video>/<frame>.jpg` and `<labels>/<video>/<frame>.png`, a palette picture whose values are the
numbers of objects; 0 is background, 255 is void.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ssa_stream.data.reading import (
    expect_to_fit,
    frame_at,
    picture_size,
    read_frames,
    read_labels,
    whole_number,
)
from ssa_stream.data.referring import ReferringExpression, ReferringVideo
from ssa_stream.errors import ConfigError
from ssa_stream.texts import brief

__all__ = ["LabelledVideos", "object_number", "parse_object"]

_VOID: Final = 255


def object_number(value: object) -> int | None:
    """The number of an object in label pictures, 1 to 254; None if `value` is none."""
    number = whole_number(value)
    return number if number is not None and 0 < number < _VOID else None


def parse_object(path: Path, key: str, text: str, entry: dict[str, Any], where: str) -> ReferringExpression:
    """A sentence whose entry names one object as `obj_id`, or none where targets are not public.

    One with another `obj_id` than the number of an object has no masks that can be read: its `problem` says why.
    """
    value = entry.get("obj_id")
    if value is None:
        return ReferringExpression(key, text, has_targets=False)
    number = object_number(value)
    if number is None:
        problem = f"{path}: {where}.obj_id is {brief(value)}; expected the number of an object, 1 to 254"
        return ReferringExpression(key, text, problem=problem)
    return ReferringExpression(key, text, (str(number),))


class LabelledVideos:
    """Reads videos with label pictures.

    Args:
        videos: By name, in the data set's order.
        pictures: Folder of the videos' frames.
        labels: Folder of the videos' label pictures.
        named_in: The file that lists the frames, for messages.
    """

    def __init__(self, videos: Mapping[str, ReferringVideo], pictures: Path, labels: Path, named_in: Path) -> None:
        self._videos = dict(videos)
        self._pictures = pictures
        self._labels = labels
        self._named_in = named_in
        self._newest: tuple[str, tuple[int, ...], tuple[int, int], npt.NDArray[np.uint8]] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """What other processes need: not the label pictures that were read last."""
        return self.__dict__ | {"_newest": None}

    @property
    def videos(self) -> tuple[str, ...]:
        """The videos' names, in the data set's order."""
        return tuple(self._videos)

    def video(self, name: str) -> ReferringVideo:
        """A video's frame names and sentences; ConfigError if there is no such video."""
        if name not in self._videos:
            raise ConfigError(f"{self._named_in} has no video {brief(name)}; it has {len(self._videos)} others")
        return self._videos[name]

    def frames(self, name: str, indices: Sequence[int] | None = None) -> npt.NDArray[np.uint8]:
        """Read frames, all of them unless told which.

        Returns:
            `(T, H, W, 3)` uint8 RGB.
        Raises:
            ConfigError: A picture is missing, broken or of another size than the first.
        """
        names = self.video(name).frames
        chosen = range(len(names)) if indices is None else indices
        paths = [self._pictures / name / f"{frame_at(names, index, name)}.jpg" for index in chosen]
        return read_frames(paths, self._named_in.name)

    def labels(self, name: str, indices: Sequence[int] | None = None) -> npt.NDArray[np.uint8]:
        """Read label pictures, of all frames unless told which; void stays 255.

        Returns:
            `(T, H, W)` uint8, not to be written to: the newest are kept for the next sentence about the video.
        Raises:
            ConfigError: A picture is missing, broken, in colours, or of another size than the others or the frames.
        """
        chosen = tuple(range(len(self.video(name).frames)) if indices is None else indices)
        return self._read(name, chosen, self.size(name), "frames")

    def stored_labels(self, name: str, indices: Sequence[int] | None = None) -> npt.NDArray[np.uint8]:
        """As `labels`, in the size of the label picture of the first frame: the video's pictures are not looked at."""
        chosen = tuple(range(len(self.video(name).frames)) if indices is None else indices)
        return self._read(name, chosen, self._stored_size(name), "label pictures")

    def _read(self, name: str, chosen: tuple[int, ...], size: tuple[int, int], sized: str) -> npt.NDArray[np.uint8]:
        if self._newest is not None and self._newest[:3] == (name, chosen, size):
            return self._newest[3]
        paths = [self._label_picture(name, index) for index in chosen]
        read = _read_all(paths, size, self._named_in.name, sized)
        read.flags.writeable = False
        self._newest = (name, chosen, size, read)
        return read

    def _label_picture(self, name: str, index: int) -> Path:
        return self._labels / name / f"{frame_at(self.video(name).frames, index, name)}.png"

    def _stored_size(self, name: str) -> tuple[int, int]:
        return picture_size(self._label_picture(name, 0), self._named_in.name)

    def masks(
        self, name: str, expression: ReferringExpression, indices: Sequence[int] | None = None
    ) -> npt.NDArray[np.bool_]:
        """Read the masks of a sentence's object, in all frames unless told which.

        Returns:
            `(n, T, H, W)` bool, in the order of `target_ids`.
        Raises:
            ConfigError: The targets are not public, or a label picture is not usable.
        """
        self._expect_target(name, expression)
        return self._masks(name, expression, self.labels(name, indices))

    def stored_size(self, name: str, expression: ReferringExpression) -> tuple[int, int] | None:
        """Height and width of a video's label pictures; ConfigError if the sentence's target is not known."""
        self._expect_target(name, expression)
        return self._stored_size(name)

    def stored_masks(
        self, name: str, expression: ReferringExpression, indices: Sequence[int] | None = None
    ) -> npt.NDArray[np.bool_]:
        """As `masks`, in the size of the label pictures: the video's pictures are not looked at."""
        self._expect_target(name, expression)
        return self._masks(name, expression, self.stored_labels(name, indices))

    def _expect_target(self, name: str, expression: ReferringExpression) -> None:
        if expression.problem:
            raise ConfigError(expression.problem)
        if not expression.has_targets:
            raise ConfigError(
                f"{self._named_in} gives no obj_id for {brief(expression.text)} of {brief(name)}: no masks"
            )

    def _masks(
        self, name: str, expression: ReferringExpression, labels: npt.NDArray[np.uint8]
    ) -> npt.NDArray[np.bool_]:
        expect_to_fit((len(expression.target_ids), *labels.shape), f"masks of {expression.expression_id} of {name}")
        masks = np.empty((len(expression.target_ids), *labels.shape), np.bool_)
        for row, target in enumerate(expression.target_ids):
            np.equal(labels, int(target), out=masks[row])
        return masks

    def size(self, name: str) -> tuple[int, int]:
        """Height and width of a video's first frame; of its first label picture, where there are no frames."""
        first = self.video(name).frames[0]
        picture = self._pictures / name / f"{first}.jpg"
        labels = self._labels / name / f"{first}.png"
        if not os.path.lexists(picture) and os.path.lexists(labels):
            return picture_size(labels, self._named_in.name)
        return picture_size(picture, self._named_in.name)


def _read_all(paths: Sequence[Path], size: tuple[int, int], named_in: str, sized: str) -> npt.NDArray[np.uint8]:
    if not paths:
        raise ConfigError(f"no frame was asked for; expected at least one of those that {named_in} names")
    expect_to_fit((len(paths), *size), f"{len(paths)} label pictures of {paths[0].parent}")
    read = np.empty((len(paths), *size), np.uint8)
    for number, path in enumerate(paths):
        labels = read_labels(path, named_in)
        if labels.shape != size:
            raise ConfigError(
                f"{path} has {labels.shape[1]}x{labels.shape[0]} pixels; expected {size[1]}x{size[0]}, "
                f"the size of the video's {sized}"
            )
        read[number] = labels
    return read
