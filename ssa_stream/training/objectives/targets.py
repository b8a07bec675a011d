"""What the losses compare predictions with. `I` items (a sentence on a clip), `G` objects, `T` frames."""

from typing import NamedTuple

from torch import Tensor

__all__ = ["MaskTargets", "clip_targets", "frame_targets"]


class MaskTargets(NamedTuple):
    """Objects to find, padded to one number per item.

    Attributes:
        masks: `(I, G, T, H, W)` uint8, 0 or 1, at the network's padded input size.
        valid: Which of the objects there are, `(I, G)` bool.
        referred: Which of them the sentence refers to, `(I, G)` bool.
    """

    masks: Tensor
    valid: Tensor
    referred: Tensor


def clip_targets(masks: Tensor, present: Tensor, referred: Tensor) -> MaskTargets:
    """Targets of whole clips: objects that are visible in at least one frame.

    Args:
        masks: `(I, G, T, H, W)` uint8.
        present: Which objects there are, `(I, G)` bool.
        referred: Which of them the sentence refers to, `(I, G)` bool.
    """
    return MaskTargets(masks, present & masks.flatten(2).amax(dim=2).bool(), referred)


def frame_targets(masks: Tensor, present: Tensor, referred: Tensor) -> MaskTargets:
    """Targets of single frames, items clip-major: objects that are visible in the very frame.

    Args:
        masks: `(I, G, T, H, W)` uint8.
        present: Which objects there are, `(I, G)` bool.
        referred: Which of them the sentence refers to, `(I, G)` bool.
    Returns:
        Targets with `I * T` items of one frame.
    """
    T = masks.shape[2]
    visible = present[..., None] & masks.flatten(3).amax(dim=3).bool()  # (I, G, T)
    return MaskTargets(
        masks.transpose(1, 2).flatten(0, 1)[:, :, None],
        visible.transpose(1, 2).flatten(0, 1),
        referred.repeat_interleave(T, dim=0),
    )
