"""A real SSA network, small enough to run hundreds of frames in a test: seeded random weights, slots that differ."""

import functools
import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ssa_stream.checkpoints.layout import extend_model
from ssa_stream.model import SSA, ClipConfig, FrameDecoderConfig, PixelDecoderConfig, SsaConfig, VideoDecoderConfig
from ssa_stream.model.extensions import with_extensions
from ssa_stream.model.extensions.mask_moments import MaskMoments
from ssa_stream.model.extensions.presence import Presence
from ssa_stream.model.preprocess import to_input

__all__ = ["model_with_presence", "one_model_thread", "random_frames", "tiny_config", "tiny_model", "told_model"]

_CLIP = {
    "embed_dim": 32,
    "vision_cfg": {
        "timm_model_name": "test_convnext2",
        "timm_model_pretrained": False,
        "timm_pool": "",
        "timm_proj": "mlp",
        "image_size": 32,
    },
    # The tokenizer is CLIP's own, so the vocabulary keeps its size.
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}


@contextmanager
def one_model_thread() -> Iterator[None]:
    """Run the model as graphs of tests do: sums split over threads round in another way."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def tiny_config(num_queries: int = 6) -> SsaConfig:
    """Sizes of the network: 64 wide, two layers in each decoder, shortest edge 40 pixels."""
    return SsaConfig(
        name="tiny-test",
        clip=ClipConfig(name="tiny-test", definition=_CLIP, num_words=8),
        hidden_dim=64,
        num_queries=num_queries,
        adapter_dim=16,
        adapter_heads=2,
        pixel_decoder=PixelDecoderConfig(
            num_layers=1, num_heads=2, num_points=2, ffn_dim=32, fusion_dim=16, fusion_heads=2
        ),
        frame_decoder=FrameDecoderConfig(num_layers=2, num_heads=2, ffn_dim=32),
        video_decoder=VideoDecoderConfig(num_layers=2, num_heads=2, ffn_dim=32),
        short_edge_px=40,
        long_edge_px=96,
    )


@functools.cache
def tiny_model(num_queries: int = 6) -> SSA:
    """The network in evaluation mode, the same one for all tests of a run: nobody may change its weights.

    With its weights on `random_frames` some slots are above the default threshold and some below, in changing numbers,
    and frames differ enough for the alignment to re-order slots.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(7)
        model = SSA(tiny_config(num_queries)).eval()
        torch.manual_seed(4)
        _spread(model)
        _centre(model)
    return model.requires_grad_(False)


def told_model(weight_std: float = 0.0) -> SSA:
    """A network of one's own with the shared one's weights, whose frame queries are told where their masks are."""
    model = _with("frame_decoder.mask_moments")
    assert isinstance(model.mask_moments, MaskMoments)
    nn.init.normal_(model.mask_moments.embed.weight, std=weight_std)
    return model


def model_with_presence(weight_std: float = 0.0) -> SSA:
    """A network of one's own with the shared one's weights, whose video queries are less probable by presence."""
    model = _with("video_decoder.presence")
    assert isinstance(model.video_decoder.presence, Presence)
    weight = torch.randn(model.config.hidden_dim, generator=torch.Generator().manual_seed(3))
    model.video_decoder.presence.set_reading(weight * weight_std, 0.0)
    return model


def _with(extension: str) -> SSA:
    """A network that has an extension more than the shared one, and its weights."""
    with torch.random.fork_rng(devices=[]):
        model = extend_model(tiny_model(), with_extensions(tiny_config(), {extension}))
    return model.eval().requires_grad_(False)


def _spread(model: SSA) -> None:
    """Set weights so that slots differ from each other and depend on frame and sentence; PyTorch's own do neither.

    The frame decoder's attention masks stay empty: a logit that is zero but for rounding would change them, and with
    six keys in a map that changes everything. Results are then smooth in the input, and can be compared closely.
    """
    nn.init.zeros_(model.frame_decoder.head.mask_embed[-1].get_parameter("weight"))
    nn.init.zeros_(model.frame_decoder.head.mask_embed[-1].get_parameter("bias"))
    for name, parameter in model.named_parameters():
        scale = 1 / math.sqrt(math.prod(parameter.shape[1:]))
        if name.startswith("clip."):
            continue
        if name.endswith(("query_position.weight", "slot_position.weight")):
            nn.init.normal_(parameter, std=3.0)
        elif name.endswith("in_proj_weight"):
            nn.init.normal_(parameter, std=(1.5 if name.startswith("frame_decoder.") else 1.0) * scale)
        elif name.endswith(("image_attention.attention.out_proj.weight", "memory_attention.attention.out_proj.weight")):
            nn.init.normal_(parameter, std=4.0 * scale)
        elif name.endswith("text_attention.attention.out_proj.weight"):
            nn.init.normal_(parameter, std=0.2 * scale)
        elif name == "video_decoder.classifier.weight":
            nn.init.normal_(parameter, std=1.8 * scale)
        elif name == "video_decoder.pooling.weight":
            nn.init.normal_(parameter, std=3.0 * scale)


def _centre(model: SSA) -> None:
    """Move biases so that classes, mask embeddings and mask features are zero on average: no side always wins."""
    images = to_input(random_frames(8, seed=99))
    clips = [model(images, model.encode_text([text])) for text in ("a dog", "the red car")]
    heads = [clip.window.predictions[-1] for clip in clips]
    _subtract_from_bias(model.video_decoder.classifier, torch.cat([head.class_logits for head in heads]))
    _subtract_from_bias(model.video_decoder.mask_embed[-1], torch.cat([head.mask_embedding for head in heads]))
    features = torch.cat([clip.mask_features for clip in clips])
    _subtract_from_bias(model.video_mask_features, features.movedim(1, -1))


def _subtract_from_bias(layer: nn.Module, outputs: Tensor) -> None:
    """Let a layer whose outputs were `(..., C)` have zero mean on them."""
    bias = layer.get_parameter("bias")
    bias.copy_(bias - outputs.flatten(0, -2).mean(dim=0))


def random_frames(count: int, size: tuple[int, int] = (37, 53), seed: int = 0) -> list[NDArray[np.uint8]]:
    """Coarse random patterns, `(height, width, 3)` uint8 each, that differ from frame to frame."""
    rng = np.random.default_rng(seed)
    cells = rng.integers(0, 256, (count, -(-size[0] // 8), -(-size[1] // 8), 3), dtype=np.uint8)
    return [cell.repeat(8, axis=0).repeat(8, axis=1)[: size[0], : size[1]] for cell in cells]
