"""What a model says of a clip, and the seam behind which any model may stand."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["ClipPrediction", "Predictor"]


@dataclass(frozen=True, slots=True, eq=False)
class ClipPrediction:
    """Masks of one sentence in one clip of `T` frames, `K` of which went through the model.

    Attributes:
        frame_indices: The frames that went through the model, ascending, `K` numbers.
        masks: Union of what was found in each of these, `(K, H, W)` bool.
        tracks: Mask of each track by its id, `(H, W)` bool, for each of these frames; None if there is no identity.
        emitted_at_s: When each mask came out, ascending; frame `i` is captured at `i / fps`. None if time plays no
            role.
        compute_s: Time that each frame took; None if it was not measured.
        prompt_to_mask_s: From a new prompt to its first mask in a running session; None if it was not measured.
    """

    frame_indices: tuple[int, ...]
    masks: NDArray[np.bool_]
    tracks: Sequence[Mapping[int, NDArray[np.bool_]]] | None = None
    emitted_at_s: tuple[float, ...] | None = None
    compute_s: tuple[float, ...] | None = None
    prompt_to_mask_s: float | None = None


class Predictor(Protocol):
    """Runs a model over a clip."""

    def predict(self, frames: NDArray[np.uint8], sentences: Sequence[str], fps: float) -> Iterator[ClipPrediction]:
        """Segment a clip by several sentences, all different.

        Args:
            frames: `(T, H, W, 3)` RGB.
            sentences: What to look for.
            fps: Frames per second.
        Returns:
            One prediction per sentence, in their order.
        """
