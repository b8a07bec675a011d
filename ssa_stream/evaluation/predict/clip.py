"""A clip that is ready for several sentences, and the masks of one sentence in it."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssa_stream.errors import ConfigError
from ssa_stream.evaluation.predict.loading import FRAMES_PER_CHUNK
from ssa_stream.model import MaskSizes, Stages, TextFeatures, decode_clip, select_queries, to_input
from ssa_stream.model.offline import logits_of_clip
from ssa_stream.model.selection import SelectionMode, resize_to_output

__all__ = ["PreparedClip", "sentence_logits"]

_MOST_STEM_BYTES = 2 * 2**30
"""What is kept of a clip between its sentences, beside its frames; of a longer clip it is made again for each."""
_MOST_FEATURE_BYTES = 4 * 2**30
"""Mask features of a clip that stay on a GPU; of a longer clip they wait in the computer's memory."""
_THRESHOLDS: dict[SelectionMode, float] = {"multi": 0.5, "single": 0.0}
"""As published: any number of objects above a probability, or the best one however probable it is."""


class PreparedClip:
    """Frames of one video and what of the network needs no sentence, for one sentence after the other.

    Args:
        model: The network, in evaluation mode.
        num_frames: At most so many frames will come.
    """

    def __init__(self, model: Stages, num_frames: int) -> None:
        self._model, self._capacity = model, num_frames
        self._sizes: MaskSizes | None = None
        self._frames: NDArray[np.uint8] | None = None
        self._stems: Tensor | None = None
        self.rows: dict[int, int] = {}
        """Where a frame of the video is among those that came."""

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def sizes(self) -> MaskSizes:
        """Of all frames; at least one has come."""
        assert self._sizes is not None
        return self._sizes

    @torch.inference_mode()
    def add(self, indices: tuple[int, ...], frames: NDArray[np.uint8], sizes: MaskSizes) -> None:
        """Take frames, at network size without padding, `(t, h, w, 3)` uint8 RGB.

        Raises:
            ConfigError: They are of another size than those that came before.
        """
        if self._sizes is not None and sizes != self._sizes:
            height, width = self._sizes.output
            raise ConfigError(
                f"frames {indices[0]} to {indices[-1]} are of {sizes.output[1]}x{sizes.output[0]} pixels; expected "
                f"{width}x{height}, as those before"
            )
        self._sizes = sizes
        first, stop = len(self.rows), len(self.rows) + len(indices)
        if first == 0 or self._stems is not None:
            stem = self._encode(frames)
            if first == 0 and stem[0].numel() * stem.element_size() * self._capacity <= _MOST_STEM_BYTES:
                self._stems = stem.new_empty((self._capacity, *stem.shape[1:]))
            if self._stems is not None:
                self._stems[first:stop] = stem
        if self._stems is None:
            if self._frames is None:
                self._frames = np.empty((self._capacity, *frames.shape[1:]), np.uint8)
            self._frames[first:stop] = frames
        self.rows |= {index: first + offset for offset, index in enumerate(indices)}

    def stems(self, start: int, stop: int) -> Iterator[Tensor]:
        """The prompt-free stage of some of the frames, a chunk at a time."""
        for first in range(start, stop, FRAMES_PER_CHUNK):
            last = min(first + FRAMES_PER_CHUNK, stop)
            if self._stems is not None:
                yield self._stems[first:last]
            else:
                assert self._frames is not None
                yield self._encode(self._frames[first:last])

    def stem_of(self, indices: Sequence[int]) -> Tensor:
        """The prompt-free stage of some frames by their indices in the video; at most a chunk of them.

        Raises:
            ConfigError: One of them has not come.
        """
        missing = [index for index in indices if index not in self.rows]
        if missing:
            raise ConfigError(f"frame {missing[0]} is not there")
        rows = [self.rows[index] for index in indices]
        if self._stems is not None:
            return self._stems[rows]
        assert self._frames is not None
        return self._encode(self._frames[rows])

    def _encode(self, frames: NDArray[np.uint8]) -> Tensor:
        return self._model.encode_stem(to_input(frames, self._model.device, self._model.dtype))


@torch.inference_mode()
def sentence_logits(
    model: Stages, clip: PreparedClip, text: TextFeatures, mode: SelectionMode, window: int | None = None
) -> Iterator[Tensor]:
    """Masks of what one sentence means, as the published inference makes them.

    Args:
        model: The network, in evaluation mode.
        clip: All frames of the clip.
        text: One row.
        mode: `multi` unites all queries that are probable enough, and there may be none; `single` takes the best one.
        window: Cut the clip into windows of so many frames, each segmented on its own; the last one may be shorter.
            None takes the whole clip at once.
    Returns:
        For a few frames at a time: the greatest logit of the selected queries at the frames' own size, `(t, H, W)`
        float32; minus infinity where none is selected. A mask is where it is above 0.
    """
    length = window or len(clip)
    for start in range(0, len(clip), length):
        stop = min(start + length, len(clip))
        place = _place(model, clip.sizes, stop - start)
        output = decode_clip(model, clip.stems(start, stop), text, stop - start, place)
        slots = select_queries(output.window.probability[0], mode, _THRESHOLDS[mode])
        if not len(slots):
            for first in range(start, stop, FRAMES_PER_CHUNK):
                yield torch.full((min(FRAMES_PER_CHUNK, stop - first), *clip.sizes.output), -torch.inf)
            continue
        for logits in logits_of_clip(output, slots, clip.sizes):
            yield resize_to_output(logits, clip.sizes.output).amax(dim=0)


def _place(model: Stages, sizes: MaskSizes, num_frames: int) -> torch.device | None:
    """Where mask features of so many frames are kept."""
    height, width = sizes.padded
    size = num_frames * model.config.hidden_dim * (height // 4) * (width // 4) * model.dtype.itemsize
    return torch.device("cpu") if model.device.type == "cuda" and size > _MOST_FEATURE_BYTES else None
