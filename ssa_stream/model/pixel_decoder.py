"""Pixel decoder: deformable encoder over three levels with text fusion, then one FPN step to stride 4."""

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, Self, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ssa_stream.model.config import SsaConfig
from ssa_stream.model.deformable import DeformableAttention
from ssa_stream.model.layers import FeedForward
from ssa_stream.model.positions import sine_2d
from ssa_stream.model.precision import FAST_TYPE, Precision

__all__ = ["NUM_LEVELS", "PixelDecoder", "PixelFeatures", "TextFusion"]

_CLAMP = 50_000.0

NUM_LEVELS = 3
"""Levels that are encoded: strides 32, 16 and 8."""
_NORM_GROUPS = 32
_FAST: Final = re.compile(
    r"(input_proj\.\d+\.0|lateral|output|mask_features"
    r"|layers\.\d+\.(deformable\.(value|output)_proj|feed_forward\.linear[12]))(\.(weight|bias))?"
)
"""The linear maps and convolutions that may leave float32. What is not named stays: norms, the fusion with the text and
its softmax, sampling offsets and attention weights, and the tokens between the layers."""


class TextFusion(nn.Module):
    """Bi-directional attention between the visual tokens and one sentence token.

    Args:
        dim: Width `C` of both sides.
        fusion_dim: Inner width.
        num_heads: Heads; divides `fusion_dim`.
        dropout: On both attention probabilities, in training only.
    Source: paper, eq. 5; GLIP (Li et al. 2022) for the form. Differs in the order of operations, not in the result:
        with a single sentence token the visual side's softmax is 1 and the scores are an inner product with one
        vector per head, so no visual token is ever projected to the inner width. Subtracting a global maximum before
        both softmaxes cancels; here the maximum is taken per item, so that items of a batch cannot influence each
        other.
    """

    def __init__(self, dim: int, fusion_dim: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.scale = (fusion_dim // num_heads) ** -0.5
        self.norm_visual = nn.LayerNorm(dim)
        self.norm_text = nn.LayerNorm(dim)
        self.query_proj = nn.Linear(dim, fusion_dim)
        self.key_proj = nn.Linear(dim, fusion_dim)
        self.visual_value_proj = nn.Linear(dim, fusion_dim)
        self.text_value_proj = nn.Linear(dim, fusion_dim)
        self.visual_out_proj = nn.Linear(fusion_dim, dim)
        self.text_out_proj = nn.Linear(fusion_dim, dim)
        self.gamma_visual = nn.Parameter(torch.full((dim,), 1e-4))
        self.gamma_text = nn.Parameter(torch.full((dim,), 1e-4))
        self.dropout = nn.Dropout(dropout)
        for module in self.children():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, visual: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        """Exchange information both ways; both updates use the values before the update.

        Args:
            visual: `(B, S, C)`.
            text: `(B, C)`.
        Returns:
            Updated `visual` and `text`.
        """
        visual, text = self.norm_visual(visual), self.norm_text(text)
        to_text = self.dropout(self._scores(visual, text).softmax(dim=-1))  # (B, heads, S)
        ones = visual.new_ones(1, 1, self.num_heads)
        to_visual = self.dropout(ones.expand(*visual.shape[:2], -1)) if self.training else ones
        return (
            visual + self.gamma_visual * self._text_to_visual(to_visual, text),
            text + self.gamma_text * self._visual_to_text(to_text, visual),
        )

    def _scores(self, visual: Tensor, text: Tensor) -> Tensor:
        """Scaled inner products of projected visual tokens and projected sentence, `(B, heads, S)`."""
        key = self.key_proj(text).unflatten(-1, (self.num_heads, -1)) * self.scale  # (B, heads, d)
        weight = self.query_proj.weight.unflatten(0, (self.num_heads, -1))  # (heads, d, C)
        bias = self.query_proj.bias.unflatten(0, (self.num_heads, -1))  # (heads, d)
        scores: Tensor = torch.einsum("bhd,hdc->bhc", key, weight) @ visual.transpose(1, 2)
        scores = scores + (key * bias).sum(dim=-1, keepdim=True)
        scores = (scores - scores.amax(dim=(1, 2), keepdim=True)).clamp(-_CLAMP, _CLAMP)
        return (scores - scores.amax(dim=-1, keepdim=True)).clamp(-_CLAMP, _CLAMP)

    def _text_to_visual(self, attention: Tensor, text: Tensor) -> Tensor:
        """Sentence values per visual token, `(B, S, C)`, or `(B, 1, C)` when all weights are 1."""
        value = self.text_value_proj(text).unflatten(-1, (self.num_heads, -1))  # (B, heads, d)
        weight = self.visual_out_proj.weight.unflatten(1, (self.num_heads, -1))  # (C, heads, d)
        per_head = torch.einsum("bhd,chd->bhc", value, weight)
        update: Tensor = attention @ per_head + self.visual_out_proj.bias
        return update

    def _visual_to_text(self, attention: Tensor, visual: Tensor) -> Tensor:
        """Attended visual values, `(B, C)`."""
        gathered = attention @ visual  # (B, heads, C)
        weight = self.visual_value_proj.weight.unflatten(0, (self.num_heads, -1))  # (heads, d, C)
        bias = self.visual_value_proj.bias.unflatten(0, (self.num_heads, -1))
        value = torch.einsum("bhc,hdc->bhd", gathered, weight) + attention.sum(dim=-1, keepdim=True) * bias
        return F.linear(value.flatten(1), self.text_out_proj.weight, self.text_out_proj.bias)


class PixelFeatures(NamedTuple):
    """What the pixel decoder makes of a frame under a sentence; float32, but `mask_features` if precision is fast.

    Attributes:
        memories: Maps at strides 32, 16, 8, each `(B, C, h, w)`.
        fpn: Map at stride 4, `(B, C, H/4, W/4)`.
        mask_features: Projection of `fpn` for the frame decoder, same shape.
        text: Sentence after fusion with this frame, `(B, C)`.
        depths: Maps like `memories` after each encoder layer, the last of them again, for training.
    """

    memories: tuple[Tensor, Tensor, Tensor]
    fpn: Tensor
    mask_features: Tensor
    text: Tensor
    depths: tuple[tuple[Tensor, ...], ...] = ()


class EncoderLayer(nn.Module):
    """Text fusion, then deformable self-attention and feed-forward, post-norm."""

    def __init__(self, config: SsaConfig) -> None:
        super().__init__()
        dim, sizes = config.hidden_dim, config.pixel_decoder
        self.fusion = TextFusion(dim, sizes.fusion_dim, sizes.fusion_heads, config.dropout)
        self.deformable = DeformableAttention(dim, sizes.num_heads, NUM_LEVELS, sizes.num_points)
        self.deformable_norm = nn.LayerNorm(dim)
        self.feed_forward = FeedForward(dim, sizes.ffn_dim)

    def forward(
        self, visual: Tensor, text: Tensor, position: Tensor, sizes: Sequence[tuple[int, int]]
    ) -> tuple[Tensor, Tensor]:
        """Update visual tokens `(B, S, C)` and sentence `(B, C)`."""
        visual, text = self.fusion(visual, text)
        visual = self.deformable_norm(visual + self.deformable(visual + position, visual, sizes))
        return self.feed_forward(visual), text


class PixelDecoder(nn.Module):
    """First half of instance query generation. As published it runs in float32, whatever the rest of the network uses.

    With the precision `fast`, its large linear maps and convolutions compute in bfloat16; see `precision`.

    Args:
        config: Sizes of the network.
        channels: Channels of the four trunk stages.
    Source: paper, instance query generation; Mask2Former (Cheng et al. 2022) for the pixel decoder.
    """

    def __init__(self, config: SsaConfig, channels: Sequence[int]) -> None:
        super().__init__()
        dim = config.hidden_dim
        self.input_proj = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, dim, 1), nn.GroupNorm(_NORM_GROUPS, dim)) for width in reversed(channels[1:])
        )
        self.level_embed = nn.Parameter(torch.empty(NUM_LEVELS, dim))
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.pixel_decoder.num_layers))
        self.lateral = nn.Conv2d(channels[0], dim, 1, bias=False)
        self.lateral_norm = nn.GroupNorm(_NORM_GROUPS, dim)
        self.output = nn.Conv2d(dim, dim, 3, padding=1, bias=False)
        self.output_norm = nn.GroupNorm(_NORM_GROUPS, dim)
        self.mask_features = nn.Conv2d(dim, dim, 1)
        nn.init.normal_(self.level_embed)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight, a=1)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    @staticmethod
    def weight_type(name: str, precision: Precision) -> torch.dtype:
        """Type of a module or tensor of it, by its name in it."""
        return FAST_TYPE if precision == "fast" and _FAST.fullmatch(name) else torch.float32

    def cast(self, precision: Precision) -> Self:
        """Change the types of all weights to what a precision asks for, in place."""
        for name, module in self.named_modules():
            if not any(module.children()):
                module.to(self.weight_type(name, precision))
        return self

    def forward(self, maps: Sequence[Tensor], text: Tensor) -> PixelFeatures:
        """Fuse the adapted trunk maps with the sentence.

        Args:
            maps: Four maps at strides 4, 8, 16, 32, `(B, Cv, h, w)`.
            text: Resized sentence, `(B, C)`.
        """
        with torch.autocast(text.device.type, enabled=False):
            return self._forward(maps, text.float())

    def _forward(self, maps: Sequence[Tensor], text: Tensor) -> PixelFeatures:
        stride4, *coarse = maps
        levels = [
            norm(_convolved(conv, m)) for (conv, norm), m in zip(self._projections(), reversed(coarse), strict=True)
        ]  # strides 32, 16, 8
        sizes = [(int(x.shape[-2]), int(x.shape[-1])) for x in levels]
        visual = torch.cat([x.flatten(2).transpose(1, 2) for x in levels], dim=1)  # (B, S, C)
        position = torch.cat(
            [
                sine_2d(h, w, visual.shape[-1], True, visual.device, visual.dtype) + embed
                for (h, w), embed in zip(sizes, self.level_embed, strict=True)
            ]
        )
        depths = []
        for layer in self.layers:
            visual, text = layer(visual, text, position, sizes)
            if self.training:
                depths.append(_to_maps(visual, sizes))

        coarse32, coarse16, coarse8 = _to_maps(visual, sizes)
        upsampled = F.interpolate(coarse8, size=stride4.shape[-2:], mode="bilinear", align_corners=False)
        merged = self.lateral_norm(_convolved(self.lateral, stride4)) + upsampled
        fpn = F.relu(self.output_norm(_convolved(self.output, merged)))
        mask_features = self.mask_features(fpn.to(self.mask_features.weight.dtype))
        return PixelFeatures((coarse32, coarse16, coarse8), fpn, mask_features, text, tuple(depths))

    def _projections(self) -> Iterator[tuple[nn.Conv2d, nn.GroupNorm]]:
        for one in self.input_proj:
            conv, norm = cast(nn.Sequential, one)
            yield cast(nn.Conv2d, conv), cast(nn.GroupNorm, norm)


def _convolved(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """Convolve in the type of the weights; float32."""
    convolved: Tensor = conv(x.to(conv.weight.dtype))
    return convolved.float()


def _to_maps(tokens: Tensor, sizes: Sequence[tuple[int, int]]) -> tuple[Tensor, ...]:
    """Split tokens `(B, S, C)` into maps `(B, C, h, w)`."""
    levels = tokens.transpose(1, 2).split([h * w for h, w in sizes], dim=-1)
    return tuple(level.unflatten(-1, size) for level, size in zip(levels, sizes, strict=True))
