"""Training clips of a data set in the MeViS format: one sentence each, frames around a reference frame."""

import numpy as np
from numpy.typing import NDArray

from ssa_stream.data import MevisReader
from ssa_stream.errors import ConfigError
from ssa_stream.training.config.data import MevisData
from ssa_stream.training.data.augment import AugmentedClip, augment_clip
from ssa_stream.training.data.batch import Sentence, TrainingClip

__all__ = ["MevisClips", "sample_frames"]

_EPOCH_STREAM, _CLIP_STREAM = 111, 112


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
        round_number, place = divmod(index, len(self._sentences))
        order = np.random.default_rng([self._seed, _EPOCH_STREAM, round_number]).permutation(len(self._sentences))
        name, number = self._sentences[int(order[place])]
        video = self._reader.video(name)
        expression = video.expressions[number]
        rng = np.random.default_rng([self._seed, _CLIP_STREAM, index])
        chosen = sample_frames(len(video.frames), num_frames, self._data.frame_range, rng)
        distinct, places = np.unique(chosen, return_inverse=True)
        frames = self._reader.frames(name, distinct.tolist())[places]
        masks = self._reader.masks(name, expression, distinct.tolist())[:, places]
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
