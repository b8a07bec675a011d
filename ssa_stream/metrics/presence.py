"""Whether something was found where there is something, and nothing where there is nothing."""

from typing import NamedTuple

from ssa_stream.metrics.masks import Masks, check_pair

__all__ = ["Presence", "presence"]


class Presence(NamedTuple):
    """Presence of one sentence's target in one clip.

    Attributes:
        right_frames: Share of the frames in which prediction and target are both empty or both not.
        expected: Whether the target is in any frame.
        found: Whether anything was found in any frame.
    """

    right_frames: float
    expected: bool
    found: bool


def presence(predicted: Masks, target: Masks) -> Presence:
    """Compare where masks are empty.

    Args:
        predicted: Union of all that was found, `(T, H, W)` bool.
        target: Union of all that the sentence means, the same shape.
    Raises:
        ShapeError: Shapes or types are others.
    """
    predicted, target = check_pair(predicted, target)
    found, expected = predicted.any(axis=(1, 2)), target.any(axis=(1, 2))
    return Presence(float((found == expected).mean()), bool(expected.any()), bool(found.any()))
