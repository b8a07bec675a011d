"""What answers of one object a sample are scored against: its mask and box, read from the data set."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

from ssa_stream.data.kinds import DataKind
from ssa_stream.data.refcoco import Refcoco
from ssa_stream.data.referring import ReferringData, ReferringExpression
from ssa_stream.errors import ConfigError
from ssa_stream.evaluation.score.request import OnProgress, ScoreRequest
from ssa_stream.evaluation.score.workers import each_video
from ssa_stream.metrics.average_precision import Rle, TrueObject
from ssa_stream.metrics.single_object import Box

__all__ = ["Sample", "Truth", "read_truth"]

_WORK_OF_A_VIDEO: Final = 4
"""As many pictures of other data sets take as long."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """What is asked for once.

    Attributes:
        sample_id: As in results files.
        size: Height and width of the frame.
        mask: Of the object; None if it is not public.
        box: Of the object; None where boxes are not scored.
        is_crowd: See `TrueObject`.
    """

    sample_id: str | int
    size: tuple[int, int]
    mask: Rle | None
    box: Box | None = None
    is_crowd: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """All samples of a split.

    Attributes:
        samples: The first of each name, by name, in the data set's order.
        repeated: Further samples of a name that was there already.
        has_boxes: Whether boxes are scored.
        categories: Ids of COCO's categories that the data set knows.
    """

    samples: dict[str | int, Sample]
    repeated: tuple[Sample, ...]
    has_boxes: bool
    categories: tuple[int, ...]

    @property
    def has_masks(self) -> bool:
        """Whether the masks of all samples are public."""
        return all(sample.mask is not None for sample in self.samples.values())

    def objects(self) -> list[TrueObject]:
        """Every sample as the average precision takes it; all need to have masks."""
        every = (*self.samples.values(), *self.repeated)
        return [TrueObject(one.sample_id, one.mask, one.is_crowd) for one in every if one.mask is not None]


def read_truth(request: ScoreRequest, on_progress: OnProgress | None = None) -> Truth:
    """Read every sample of the split, run-length encoded.

    Args:
        request: What is scored.
        on_progress: Told after each video.
    Raises:
        ConfigError: The data are missing or broken, or there is no sample.
    """
    data = request.open_data()
    by_video = each_video(request, data, _samples, dict.fromkeys(data.videos, _WORK_OF_A_VIDEO), on_progress)
    samples: dict[str | int, Sample] = {}
    every = [sample for name in data.videos for sample in by_video[name]]
    repeated = tuple(one for one in every if samples.setdefault(one.sample_id, one) is not one)
    if not samples:
        raise ConfigError(
            f"{request.place.root} has no sample in the split {request.split_name}; expected at least one"
        )
    categories = data.categories if isinstance(data, Refcoco) else (1,)
    return Truth(samples, repeated, _scores_boxes(request.place.kind), categories)


def _scores_boxes(kind: DataKind) -> bool:
    """Whether the published scorer of a data set also scores boxes."""
    return kind.name.startswith("refcoco")


def _samples(data: ReferringData, name: str) -> list[Sample]:
    return [sample for expression in data.video(name).expressions for sample in _of(data, name, expression)]


def _of(data: ReferringData, name: str, expression: ReferringExpression) -> Sequence[Sample]:
    box, is_crowd = None, False
    if isinstance(data, Refcoco):
        target = data.target(name, expression)
        left, top, width, height = target.box_xywh
        box, is_crowd = (left, top, left + width, top + height), target.is_crowd
        if not expression.has_targets:
            return [Sample(each, data.size(name), None, box, is_crowd) for each in expression.sample_ids]
    masks: npt.NDArray[np.bool_] = data.masks(name, expression)
    _, _, height, width = masks.shape
    return [
        Sample(each, (height, width), _encode(mask.any(axis=0)), box, is_crowd)
        for each, mask in zip(expression.sample_ids, masks.swapaxes(0, 1), strict=True)
    ]


def _encode(mask: npt.NDArray[np.bool_]) -> Rle:
    encoded: Rle = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    return encoded
