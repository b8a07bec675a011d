"""Reader of RefCOCO, RefCOCO+ and RefCOCOg: pictures of COCO, and sentences about one object each.

On disk: `coco/train2014/` with the pictures, `coco/<set>/` with refs and annotations, `mdetr_annotations/` perhaps; see
`refcoco_index` for the files. A picture is a video of one frame with all its sentences of a split.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from ssa_stream.data.reading import expect_to_fit, frame_at, read_frames
from ssa_stream.data.refcoco_index import CocoObject, Sample, read_categories, read_samples
from ssa_stream.data.referring import ReferringExpression, ReferringVideo
from ssa_stream.data.segmentations import decode_segmentation
from ssa_stream.errors import ConfigError
from ssa_stream.picture_limits import USUAL_LIMITS
from ssa_stream.texts import brief

__all__ = ["Refcoco"]


class _Picture(NamedTuple):
    path: Path
    size: tuple[int, int] | None
    samples: dict[str, Sample]
    """By expression id, which is the sample id as text."""


class Refcoco:
    """Reads one split.

    Args:
        kind: `refcoco`, `refcoco+` or `refcocog`.
        root: The folder that holds `coco/`.
        split: `train`, `val`, and `testA`, `testB` and `test` (both together) or for RefCOCOg `test`; `google-` before
            it means the splits of refs(google).p.

    Raises:
        ConfigError: Files of the split are missing or broken.
    """

    def __init__(self, kind: str, root: Path | str, split: str) -> None:
        root = Path(root)
        self._source, samples = read_samples(kind, root, split)
        self._pictures: dict[str, _Picture] = {}
        for sample in samples:
            name = sample.file_name.rpartition(".")[0] or sample.file_name
            path = root / "coco" / "train2014" / sample.file_name
            picture = self._pictures.setdefault(name, _Picture(path, sample.size, {}))
            if (picture.path, picture.size) != (path, sample.size):
                raise ConfigError(f"{self._source} has two pictures {name} of different size or ending; expected one")
            picture.samples[str(sample.sample_id)] = sample

    @property
    def videos(self) -> tuple[str, ...]:
        """The pictures' names without ending, in the order of their first sentences."""
        return tuple(self._pictures)

    def video(self, name: str) -> ReferringVideo:
        """Give a picture's sentences; its one frame has its name.

        Raises:
            ConfigError: There is no such picture.
        """
        samples = self._picture(name).samples
        expressions = tuple(_expression(key, sample) for key, sample in samples.items())
        return ReferringVideo(name, (name,), expressions)

    def frames(self, name: str, indices: Sequence[int] | None = None) -> npt.NDArray[np.uint8]:
        """Read the picture.

        Returns:
            `(1, H, W, 3)` uint8 RGB; the picture as often as `indices` names its frame, 0.

        Raises:
            ConfigError: It is missing, broken or of another size than its annotations say.
        """
        picture = self._picture(name)
        chosen = [0] if indices is None else indices
        for index in chosen:
            frame_at((name,), index, name)
        frames = read_frames([picture.path] * len(chosen), self._source.name)
        if picture.size is not None and frames.shape[1:3] != picture.size:
            raise ConfigError(
                f"{picture.path} has {frames.shape[2]}x{frames.shape[1]} pixels; expected "
                f"{picture.size[1]}x{picture.size[0]}, as its annotations say"
            )
        return frames

    def masks(
        self, name: str, expression: ReferringExpression, indices: Sequence[int] | None = None
    ) -> npt.NDArray[np.bool_]:
        """Draw the mask of a sentence's object.

        Returns:
            `(1, 1, H, W)` bool; the second axis as `indices`.

        Raises:
            ConfigError: The files have no such object or no mask of it, or it is broken.
        """
        size = self.size(name)
        target = self.target(name, expression)
        chosen = [0] if indices is None else indices
        for index in chosen:
            frame_at((name,), index, name)
        where = f"{self._source}: annotation {target.annotation_id} of {name}"
        if target.segmentation is None:
            raise ConfigError(f"{where} has no segmentation; expected one there or in instances.json")
        expect_to_fit((len(chosen), *size), f"masks of {expression.expression_id} of {name}")
        try:
            mask = decode_segmentation(msgspec.json.decode(target.segmentation), size)
        except ValueError as error:  # msgspec's are, too
            raise ConfigError(f"{where} has a segmentation that cannot be drawn: {error}") from error
        return np.repeat(mask[None, None], len(chosen), axis=1)

    def size(self, name: str) -> tuple[int, int]:
        """Height and width of a picture, as its annotations say."""
        size = self._picture(name).size
        if size is None:
            raise ConfigError(f"{self._source} names a picture {name} that instances.json lacks: its size is not known")
        if (problem := USUAL_LIMITS.problem(size[1], size[0])) is not None:
            raise ConfigError(f"{self._source}: the picture {name} has {problem}")
        return size

    def target(self, name: str, expression: ReferringExpression) -> CocoObject:
        """The object that a sentence means, as it is annotated.

        Raises:
            ConfigError: The files have no such sentence, or no such object.
        """
        sample = self._picture(name).samples.get(expression.expression_id)
        if sample is None:
            raise ConfigError(f"{self._source} has no sentence {brief(expression.expression_id)} about {name}")
        if sample.target is None:
            raise ConfigError(
                f"{self._source}: sentence {sample.sample_id} about {name} is of annotation {sample.annotation_id}, "
                f"which no file has; expected it there or in instances.json"
            )
        return sample.target

    def boxes(self, name: str, expression: ReferringExpression) -> npt.NDArray[np.float64]:
        """The box of a sentence's object, `(1, 4)`: left, top, width and height in pixels."""
        return np.array([self.target(name, expression).box_xywh])

    @property
    def categories(self) -> tuple[int, ...]:
        """Ids of COCO's categories that the annotation file lists, ascending; reads it again.

        Raises:
            ConfigError: It lists none.
        """
        path = self._source if self._source.suffix == ".json" else self._source.with_name("instances.json")
        return read_categories(path)

    def _picture(self, name: str) -> _Picture:
        if name not in self._pictures:
            raise ConfigError(f"{self._source} has no picture {brief(name)}; it has {len(self._pictures)} others")
        return self._pictures[name]


def _expression(key: str, sample: Sample) -> ReferringExpression:
    """A sentence; without public targets where the file has boxes only."""
    has_targets = sample.target is None or sample.target.segmentation is not None
    return ReferringExpression(
        key,
        sample.text,
        (str(sample.annotation_id),) if has_targets else (),
        has_targets=has_targets,
        annotated=(0,),
        sample_ids=(sample.sample_id,),
    )
