"""Sampling of frames and augmentation as the paper does: one draw of crop, size, flip and rotation holds for a clip."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ssa_stream.model.preprocess import network_size, resize_frame
from ssa_stream.training.data.settings import ReferringSets

__all__ = ["AugmentedClip", "augment_clip", "names_side", "rotate_clip", "sample_frames"]

_CROP_SHORT_EDGES_PX = (400, 500, 600)
_CROP_LONG_EDGE_PX = 1333
_CROP_RANGE_PX = (384, 600)
_ROTATION_CENTRE = (0.4, 0.6)
_SIDES = frozenset({"left", "right", "leftmost", "rightmost", "leftward", "rightward", "leftwards", "rightwards"})


def sample_frames(
    candidates: NDArray[np.int64], num_frames: int, within: int, rng: np.random.Generator, reference: int | None = None
) -> NDArray[np.int64]:
    """Choose frames: one anywhere, the others with replacement from those near it.

    Args:
        candidates: Frames that may be chosen, ascending.
        num_frames: How many to choose.
        within: Largest distance from the reference frame.
        rng: Source of chance.
        reference: The frame that is one of them; None draws it.
    Returns:
        `(num_frames,)`, ascending; the reference frame comes once, unless it is the only one.
    """
    if reference is None:
        reference = int(rng.choice(candidates))
    near = candidates[abs(candidates - reference) <= within]
    others = near[near != reference] if len(near) > 1 else near
    return np.sort(np.append(rng.choice(others, num_frames - 1), reference))


class AugmentedClip(NamedTuple):
    """Frames `(T, H, W, 3)` uint8 and masks `(n, T, H, W)` bool of one size."""

    frames: NDArray[np.uint8]
    masks: NDArray[np.bool_]


def names_side(text: str) -> bool:
    """Whether a sentence says left or right, so that flipping makes it wrong."""
    words = "".join(letter if letter.isalpha() else " " for letter in text.lower()).split()
    return not _SIDES.isdisjoint(words)


def augment_clip(
    clip: AugmentedClip, text: str, data: ReferringSets, rng: np.random.Generator, *, is_pseudo_video: bool = False
) -> AugmentedClip:
    """Crop by a drifting window, resize, flip, and turn a pseudo-video.

    Args:
        clip: Frames and masks.
        text: The sentence; a flip does not change it.
        data: Chances and sizes.
        rng: Source of chance.
        is_pseudo_video: Whether the frames are all one picture.
    """
    if rng.uniform() < data.crop_probability:
        clip = _crop(_resize(clip, int(rng.choice(_CROP_SHORT_EDGES_PX)), _CROP_LONG_EDGE_PX), rng)
    clip = _resize(clip, int(rng.choice(data.short_edges_px)), data.long_edge_px)
    wants_flip = rng.uniform() < data.flip_probability
    if wants_flip and (data.flip_sided or not names_side(text)):
        clip = AugmentedClip(clip.frames[:, :, ::-1], clip.masks[:, :, :, ::-1])
    return rotate_clip(clip, data.rotation_deg, rng) if is_pseudo_video and data.rotation_deg > 0 else clip


def rotate_clip(clip: AugmentedClip, most_deg: float, rng: np.random.Generator) -> AugmentedClip:
    """Turn the picture steadily in one direction, about one centre; corners that come in are black and of no object.

    Args:
        clip: Frames and masks.
        most_deg: Largest angle to either side.
        rng: Source of chance.
    """
    T, height, width = clip.frames.shape[:3]
    angles = np.sort(rng.uniform(-most_deg, most_deg, T))
    if rng.uniform() < 0.5:
        angles = angles[::-1]
    x, y = rng.uniform(*_ROTATION_CENTRE, 2) * (width, height) - 0.5  # pixels have whole numbers at their centres
    frames, masks = np.empty(clip.frames.shape, np.uint8), np.empty(clip.masks.shape, bool)
    for t, angle in enumerate(angles):
        turn = cv2.getRotationMatrix2D((float(x), float(y)), float(angle), 1.0)
        frames[t] = cv2.warpAffine(np.ascontiguousarray(clip.frames[t]), turn, (width, height))
        for row, track in enumerate(clip.masks):
            mask = np.ascontiguousarray(track[t], np.uint8)
            masks[row, t] = cv2.warpAffine(mask, turn, (width, height), flags=cv2.INTER_NEAREST)
    return AugmentedClip(frames, masks)


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
    drift = np.sort(rng.uniform(size=T))
    if rng.uniform() < 0.5:
        drift = drift[::-1]
    corners = [(round(start[0] + (end[0] - start[0]) * p), round(start[1] + (end[1] - start[1]) * p)) for p in drift]
    frames = np.stack([frame[y : y + h, x : x + w] for frame, (y, x) in zip(clip.frames, corners, strict=True)])
    masks = np.stack([clip.masks[:, t, y : y + h, x : x + w] for t, (y, x) in enumerate(corners)], axis=1)
    return AugmentedClip(frames, masks)
