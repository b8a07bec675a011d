"""Training clips of a data set in the MeViS format, sampled and augmented as the paper does.

Each has one sentence and frames around a reference frame; one draw of crop, size and flip holds for all of them.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ssa_stream.data import MevisReader
from ssa_stream.errors import ConfigError
from ssa_stream.model.preprocess import network_size, resize_frame
from ssa_stream.training.config import MevisData
from ssa_stream.training.data.batch import Sentence, TrainingClip

__all__ = ["AugmentedClip", "MevisClips", "augment_clip", "names_side", "sample_frames"]

_EPOCH_STREAM, _CLIP_STREAM = 111, 112
_CROP_SHORT_EDGES_PX = (400, 500, 600)
_CROP_LONG_EDGE_PX = 1333
_CROP_RANGE_PX = (384, 600)
_SIDES = frozenset({"left", "right", "leftmost", "rightmost", "leftward", "rightward", "leftwards", "rightwards"})


class MevisClips:
    """Numbered clips: every round goes through all sentences in a new order.

    Args:
        data: Folder and augmentation.
        seed: Seed of the run.
    Raises:
        ConfigError: The folder is not in the format, or no sentence has masks.
    """

    def __init__(self, data: MevisData, seed: int) -> None:
        self._data, self._seed = data, seed
        self._reader = MevisReader(data.folder)
        self._sentences = [
            (name, number)
            for name in self._reader.videos
            for number, expression in enumerate(self._reader.video(name).expressions)
            if expression.has_targets
        ]
        if not self._sentences:
            raise ConfigError(f"{data.folder} has no sentence with masks; name the directory of a training split")

    def clip(self, index: int, num_frames: int) -> TrainingClip:
        """Make one clip; see `SyntheticClips.clip`."""
        round_number, position = divmod(index, len(self._sentences))
        order = np.random.default_rng([self._seed, _EPOCH_STREAM, round_number]).permutation(len(self._sentences))
        name, number = self._sentences[int(order[position])]
        video = self._reader.video(name)
        expression = video.expressions[number]
        rng = np.random.default_rng([self._seed, _CLIP_STREAM, index])
        chosen = sample_frames(len(video.frames), num_frames, self._data.frame_range, rng)
        distinct, back = np.unique(chosen, return_inverse=True)
        frames = self._reader.frames(name, distinct.tolist())[back]
        masks = self._reader.masks(name, expression, distinct.tolist())[:, back]
        clip = augment_clip(AugmentedClip(frames, masks), expression.text, self._data, rng)
        return TrainingClip(clip.frames, (Sentence(expression.text, clip.masks),))


def sample_frames(total: int, num_frames: int, within: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Choose frames: one anywhere, the others with replacement from those near it.

    Args:
        total: Frames of the video.
        num_frames: How many to choose.
        within: Largest distance from the reference frame.
        rng: Source of chance.
    Returns:
        `(num_frames,)`, ascending; the reference frame comes once, unless it is the only one.
    """
    reference = int(rng.integers(total))
    near = np.arange(max(0, reference - within), min(total, reference + within + 1))
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
    drift = np.sort(rng.uniform(size=T))
    if rng.uniform() < 0.5:
        drift = drift[::-1]
    corners = [(round(start[0] + (end[0] - start[0]) * p), round(start[1] + (end[1] - start[1]) * p)) for p in drift]
    frames = np.stack([frame[y : y + h, x : x + w] for frame, (y, x) in zip(clip.frames, corners, strict=True)])
    masks = np.stack([clip.masks[:, t, y : y + h, x : x + w] for t, (y, x) in enumerate(corners)], axis=1)
    return AugmentedClip(frames, masks)
