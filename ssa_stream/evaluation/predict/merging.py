"""Masks of several objects in one picture, as the DAVIS toolkit wants them: two published rules, and the palette."""

import numpy as np
from numpy.typing import NDArray

from ssa_stream.errors import ConfigError

__all__ = ["MOST_OBJECTS", "FirstWins", "SoftMerge", "davis_palette"]

MOST_OBJECTS = 254
"""Labels in one picture: 0 is background, 255 stands for void in DAVIS."""
_BACKGROUND = np.float32(0.1)
_LEAST = np.float32(0.5)


class FirstWins:
    """Masks painted one over the other: where several objects are, the first one is.

    Source: SSA's evaluation script for Ref-DAVIS17.

    Args:
        shape: `(T, H, W)`.
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.labels = np.zeros(shape, np.uint8)

    def add(self, label: int, start: int, masks: NDArray[np.bool_]) -> None:
        """Add some frames of an object; objects come in ascending order of their labels.

        Args:
            label: Of the object, 1 to `MOST_OBJECTS`.
            start: First of the frames.
            masks: `(t, H, W)`.
        Raises:
            ConfigError: There is no such label.
        """
        labels = self.labels[start : start + len(masks)]
        labels[(labels == 0) & masks] = _checked(label)


class SoftMerge:
    """Where several objects are, the most probable one is; less than one half is none.

    Objects may come one after the other: the first one of the greatest probability wins, as by one argmax over all.

    Source: ReferFormer's inference for Ref-DAVIS17.

    Args:
        shape: `(T, H, W)`.
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.labels = np.zeros(shape, np.uint8)
        self._best = np.full(shape, _BACKGROUND, np.float32)

    def add(self, label: int, start: int, probability: NDArray[np.float32]) -> None:
        """Add some frames of an object, with the probability of its mask at each pixel; see `FirstWins.add`."""
        span = slice(start, start + len(probability))
        wins = (probability >= _LEAST) & (probability > self._best[span])
        self._best[span][wins] = probability[wins]
        self.labels[span][wins] = _checked(label)


def _checked(label: int) -> int:
    if not 1 <= label <= MOST_OBJECTS:
        raise ConfigError(
            f"an object has the label {label}; expected 1 to {MOST_OBJECTS}, which a palette picture holds"
        )
    return label


def davis_palette() -> bytes:
    """The colours of DAVIS and PASCAL VOC, 256 times red, green, blue: bits of the label, spread over the channels."""
    labels = np.arange(256)
    colours = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            colours[:, channel] |= (((labels >> (3 * bit + channel)) & 1) << (7 - bit)).astype(np.uint8)
    return colours.tobytes()
