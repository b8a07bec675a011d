"""The offline forward as the stream's reference: what a frame's results have to be while no frame has left."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssa_stream.model import ClipOutput, MaskSizes, network_size, resize_frame, to_input
from ssa_stream.model.offline import masks_of_clip
from ssa_stream.model.selection import mask_confidence, mask_logits, resize_logits
from ssa_stream.streaming import MaskResult
from tests.support.tiny_model import tiny_model

__all__ = ["assert_close", "assert_result", "offline"]

_ODD_PIXELS = 2e-3
"""Share of a mask's pixels that may differ: those whose logit is zero but for rounding."""


def offline(frames: Sequence[NDArray[np.uint8]], sentence: str) -> tuple[ClipOutput, MaskSizes]:
    """The forward of a whole clip, and the sizes that its masks pass through."""
    model = tiny_model()
    output = (frames[0].shape[0], frames[0].shape[1])
    network = network_size(output, *model.config.edges_px())
    images = to_input([resize_frame(frame, network) for frame in frames])
    with torch.inference_mode():
        clip = model(images, model.encode_text([sentence]))
    return clip, MaskSizes((images.shape[2], images.shape[3]), network, output)


def assert_close(found: Tensor, expected: Tensor) -> None:
    """Hold that tensors are equal within 1e-4 of the expected values' size."""
    scale = float(expected.float().square().mean().sqrt())
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * scale)


def assert_result(result: MaskResult, clip: ClipOutput, size: MaskSizes, index: int) -> None:
    """Hold that a result, made without merging of duplicates, is what the clip says of its frame `index`."""
    probability = clip.window.probability[0]
    np.testing.assert_allclose(result.probability, float(probability.max()), rtol=1e-4)
    masks = masks_of_clip(clip, size, "multi", 0.5)
    assert np.mean(result.merged() != masks.merged()[index].numpy()) < _ODD_PIXELS
    order = probability[masks.slots].argsort()
    shown = [int(k) for k in order if masks.masks[k, index].any()]
    tracks = sorted(result.tracks, key=lambda track: track.probability)
    assert len(tracks) == len(shown)
    for track, k in zip(tracks, shown, strict=True):
        slot = int(masks.slots[k])
        assert np.mean(track.mask != masks.masks[k, index].numpy()) < _ODD_PIXELS
        logits = mask_logits(clip.window.mask_embedding[:, slot : slot + 1], clip.mask_features[index : index + 1])
        score = mask_confidence(resize_logits(logits, size)).score(probability[slot])
        np.testing.assert_allclose([track.probability, track.score], [float(probability[slot]), float(score)], 1e-3)
