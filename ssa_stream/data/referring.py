"""What all data sets have in common: videos with sentences, and masks of what these mean.

A data set of pictures is one of videos of one frame. Indexes are small and read at once; frames and masks are read when
they are asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["ReferringData", "ReferringExpression", "ReferringVideo", "StoredMasks"]


@dataclass(frozen=True, slots=True)
class ReferringExpression:
    """One sentence about one video.

    Attributes:
        expression_id: Its name, unique in its video.
        text: The sentence as the model is given it.
        target_ids: Names of the objects that it means, in the data set's own numbering; none for a no-target sentence.
        has_targets: Whether the targets are public; if not, `target_ids` is empty and there are no masks.
        annotated: Indices of the frames that have masks, ascending; None for all frames. Other frames are never scored.
        sample_ids: What results files call each annotated frame, in the order of `annotated`; empty where results are
            not by frame.
        type: Of our synthetic sentences; None in public data sets, as the flags are.
        held_out_pair: See docs/synthetic.md.
        held_out_phrasing: See docs/synthetic.md.
        problem: What makes the entry of its targets useless; its masks cannot be read then. Empty if nothing does.
    """

    expression_id: str
    text: str
    target_ids: tuple[str, ...] = ()
    has_targets: bool = True
    annotated: tuple[int, ...] | None = None
    sample_ids: tuple[str | int, ...] = ()
    type: str | None = None
    held_out_pair: bool | None = None
    held_out_phrasing: bool | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ReferringVideo:
    """One video: its name, its frames' names in order, and the sentences about it."""

    name: str
    frames: tuple[str, ...]
    expressions: tuple[ReferringExpression, ...]


class ReferringData(Protocol):
    """One split of a data set. All methods raise ConfigError, with the file's name, for what is missing or broken."""

    @property
    def videos(self) -> Sequence[str]:
        """The videos' names, in the data set's order."""

    def video(self, name: str) -> ReferringVideo:
        """A video's frame names and sentences."""

    def frames(self, name: str, indices: Sequence[int] | None = None) -> npt.NDArray[np.uint8]:
        """Read frames, `(T, H, W, 3)` uint8 RGB; all of them unless told which, in the order asked for."""

    def masks(
        self, name: str, expression: ReferringExpression, indices: Sequence[int] | None = None
    ) -> npt.NDArray[np.bool_]:
        """Read the masks of a sentence's targets, `(n, T, H, W)` bool, in the order of `target_ids`.

        All annotated frames (all frames, where all are) unless told which; `n` is 0 for a no-target sentence.
        """

    def size(self, name: str) -> tuple[int, int]:
        """Height and width of a video's frames."""


class StoredMasks(ReferringData, Protocol):
    """A split whose masks can be read as they are stored, whatever size its pictures have, as published scorers do."""

    def stored_size(self, name: str, expression: ReferringExpression) -> tuple[int, int] | None:
        """Height and width of a sentence's masks; None if none of its frames has one."""

    def stored_masks(
        self, name: str, expression: ReferringExpression, indices: Sequence[int] | None = None
    ) -> npt.NDArray[np.bool_]:
        """As `masks`, in the size of `stored_size`; a sentence that has none gives `n` of 0."""
