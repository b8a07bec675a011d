"""The paper's augmentation: one draw of crop, size and flip for all frames of a clip."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ssa_stream.model.preprocess import network_size, resize_frame
from ssa_stream.training.config.data import MevisData

__all__ = ["AugmentedClip", "augment_clip", "names_side"]

_CROP_SHORT_EDGES_PX = (400, 500, 600)
_CROP_LONG_EDGE_PX = 1333
_CROP_RANGE_PX = (384, 600)
_SIDES = frozenset({"left", "right", "leftmost", "rightmost", "leftward", "rightward", "leftwards", "rightwards"})


class AugmentedClip(NamedTuple):
    """Frames `(T, H, W, 3)` uint8 and masks `(n, T, H, W)` bool of one size."""

    frames: NDArray[np.uint8]
    masks: NDArray[np.bool_]


def names_side(text: str) -> bool:
    """Whether a sentence says left or right, so that flipping makes it wrong."""
    words = "".join(letter if letter.isalpha() else " " for letter in text.lower()).split()
    return not _SIDES.isdisjoint(words)


def augment_clip(clip: AugmentedClip, text: str, data: MevisData, rng: np.random.Generator) -> AugmentedClip:
    """Crop by a drifting window, resize, flip.

    Args:
        clip: Frames and masks.
        text: The sentence; a flip does not change it.
        data: Chances and sizes.
        rng: Source of chance.
    """
    if rng.uniform() < data.crop_probability:
        clip = _crop(_resize(clip, int(rng.choice(_CROP_SHORT_EDGES_PX)), _CROP_LONG_EDGE_PX), rng)
    clip = _resize(clip, int(rng.choice(data.short_edges_px)), data.long_edge_px)
    wants_flip = rng.uniform() < data.flip_probability
    if wants_flip and (data.flip_sided or not names_side(text)):
        clip = AugmentedClip(clip.frames[:, :, ::-1], clip.masks[:, :, :, ::-1])
    return clip


def _resize(clip: AugmentedClip, short_edge_px: int, long_edge_px: int) -> AugmentedClip:
    height, width = network_size((clip.frames.shape[1], clip.frames.shape[2]), short_edge_px, long_edge_px)
    if clip.frames.shape[1:3] == (height, width):
        return clip
    frames = np.stack([resize_frame(frame, (height, width)) for frame in clip.frames])
    masks = np.zeros((*clip.masks.shape[:2], height, width), bool)
    for row, track in enumerate(clip.masks):
        for t, mask in enumerate(track):
            masks[row, t] = cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    return AugmentedClip(frames, masks)


def _crop(clip: AugmentedClip, rng: np.random.Generator) -> AugmentedClip:
    """Cut a window of one size that moves in a straight line at uneven speed."""
    T, height, width = clip.frames.shape[:3]
    low, high = _CROP_RANGE_PX
    h, w = (int(rng.integers(min(side, low), min(side, high) + 1)) for side in (height, width))
    start = [int(rng.integers(side - length + 1)) for side, length in ((height, h), (width, w))]
    end = [
        int(rng.integers(corner, side - length + 1))
        for corner, side, length in zip(start, (height, width), (h, w), strict=True)
    ]
    places = np.sort(rng.uniform(size=T))
    if rng.uniform() < 0.5:
        places = places[::-1]
    corners = [(round(start[0] + (end[0] - start[0]) * p), round(start[1] + (end[1] - start[1]) * p)) for p in places]
    frames = np.stack([frame[y : y + h, x : x + w] for frame, (y, x) in zip(clip.frames, corners, strict=True)])
    masks = np.stack([clip.masks[:, t, y : y + h, x : x + w] for t, (y, x) in enumerate(corners)], axis=1)
    return AugmentedClip(frames, masks)
