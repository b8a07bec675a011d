"""The trunk, written anew for inference: what is constant is folded into weights, and maps lie channels-last.

timm's blocks scale each channel after the last linear map, by a layer scale of its own, and after the norm; both go
into the linear maps beside them. Its variance norm takes five passes over a map; here it takes two. In memory a pixel's
channels lie together, so that linear maps read them without a copy. Results are equal but for rounding (1e-6 of a map's
deviation in float32). A folded network is for inference: it has other tensors, and is not saved or trained.
"""

import math
from typing import TYPE_CHECKING, Any

import torch
from timm.layers.activations import GELU
from timm.layers.drop import DropPath
from timm.layers.mlp import Mlp
from timm.layers.norm import LayerNorm, LayerNorm2d, SimpleNorm, SimpleNorm2d
from timm.models.convnext import ConvNeXtBlock
from torch import Tensor, nn

from ssa_stream.model.layers import FeedForward
from ssa_stream.model.onednn import LEAST_WIDTH, has_fused_linear, is_written_down, linear
from ssa_stream.model.parts import Absent

if TYPE_CHECKING:
    from ssa_stream.model.ssa import SSA

__all__ = ["FoldedBlock", "VarianceNorm", "fold_weights"]

_SIMPLE, _LAYER = (SimpleNorm, SimpleNorm2d), (LayerNorm, LayerNorm2d)


class VarianceNorm(nn.Module):
    """timm's variance norm, `x / sqrt(variance + eps)` with the unbiased variance, of maps that lie channels-last.

    Args:
        channels: `C`.
        eps: As timm's.
        weight: Factor of each channel, `(C,)`; None where it is folded into what comes next.
    """

    def __init__(self, channels: int, eps: float, weight: Tensor | None = None) -> None:
        super().__init__()
        self.channels, self.eps = channels, eps
        self.weight = None if weight is None else nn.Parameter(weight.clone(), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise `(B, C, H, W)`."""
        normed = self.of_tokens(x.permute(0, 2, 3, 1))
        return (normed if self.weight is None else normed * self.weight).permute(0, 3, 1, 2)

    def of_tokens(self, x: Tensor) -> Tensor:
        """Normalise `(..., C)`, without the weight."""
        if is_written_down():
            return x * torch.rsqrt(x.var(dim=-1, keepdim=True) + self.eps)
        unbiased = self.channels / (self.channels - 1)
        # Layer norm finds the variance in one pass; of what it gives, only the deviation is used.
        _, _, inverse = torch.native_layer_norm(x, (self.channels,), None, None, self.eps / unbiased)
        return (x * (inverse * math.sqrt(1 / unbiased))).to(x.dtype)


class FoldedBlock(nn.Module):
    """A ConvNeXt block of timm with its norm's weights and its layer scale in the two linear maps.

    Args:
        block: The block; it is not changed. `can_fold` says whether it can be.
    """

    def __init__(self, block: Any) -> None:  # timm's modules have no types of their parts
        super().__init__()
        self.depthwise, self.activation = block.conv_dw, block.mlp.act
        norm, first, second = block.norm, block.mlp.fc1, block.mlp.fc2
        channels, kind = norm.weight.numel(), first.weight.dtype
        weight = first.weight.detach().flatten(1).float()
        bias = first.bias.detach().float()
        self.norm: nn.Module
        if isinstance(norm, _SIMPLE):
            self.norm = VarianceNorm(channels, norm.eps)
        else:
            self.norm = nn.LayerNorm(channels, norm.eps, elementwise_affine=False)
            bias = bias + weight @ norm.bias.detach().float()
        scale = torch.ones(channels, device=weight.device) if block.gamma is None else block.gamma.detach().float()
        self.expand = _linear(weight * norm.weight.detach().float(), bias, kind)
        weight, bias = second.weight.detach().flatten(1).float(), second.bias.detach().float()
        self.reduce = _linear(weight * scale[:, None], bias * scale, kind)
        self._is_fused = _is_gelu(self.activation) and channels >= LEAST_WIDTH and has_fused_linear(kind)

    @staticmethod
    def can_fold(block: nn.Module) -> bool:
        """Whether it is a block whose parts are all known here."""
        return (
            isinstance(block, ConvNeXtBlock)
            and isinstance(block.norm, (*_SIMPLE, *_LAYER))
            and block.norm.weight is not None
            and isinstance(block.mlp, Mlp)
            and isinstance(block.mlp.norm, nn.Identity)
            and isinstance(block.shortcut, nn.Identity)
            and isinstance(block.drop_path, nn.Identity | DropPath)  # which drops in training only
        )

    def forward(self, x: Tensor) -> Tensor:
        """Transform a map `(B, C, H, W)`."""
        tokens = self.depthwise(x).permute(0, 2, 3, 1)
        normed = self.norm.of_tokens(tokens) if isinstance(self.norm, VarianceNorm) else self.norm(tokens)
        if self._is_fused and x.is_cpu and not is_written_down():
            update = linear(self.reduce, linear(self.expand, normed, "gelu"))
        else:
            update = self.reduce(self.activation(self.expand(normed)))
        return x + update.permute(0, 3, 1, 2)


def fold_weights(network: "SSA") -> "SSA":
    """Write the trunk anew for inference, in place, and fuse wide feed-forward layers of the pixel decoder.

    Args:
        network: With its weights, in evaluation mode; parts that it does not hold are left out.
    """
    for layer in network.pixel_decoder.modules():
        if isinstance(layer, FeedForward) and layer.linear1.in_features >= LEAST_WIDTH:
            layer.is_fused = has_fused_linear(layer.linear1.weight.dtype)
    if isinstance(network.clip, Absent):
        return network
    trunk: Any = network.clip.visual.trunk  # as above
    for stage in trunk.stages:
        for name, block in stage.blocks.named_children():
            if FoldedBlock.can_fold(block):
                stage.blocks.add_module(name, FoldedBlock(block))
    for module in list(trunk.modules()):
        for name, norm in list(module.named_children()):
            if isinstance(norm, SimpleNorm2d) and norm.weight is not None:
                module.add_module(name, VarianceNorm(norm.weight.numel(), norm.eps, norm.weight.detach()))
    for module in trunk.modules():
        if isinstance(module, nn.Conv2d):
            module.to(memory_format=torch.channels_last)
    network.is_folded = True
    return network


def _is_gelu(activation: nn.Module) -> bool:
    return isinstance(activation, GELU) or (isinstance(activation, nn.GELU) and activation.approximate == "none")


def _linear(weight: Tensor, bias: Tensor, dtype: torch.dtype) -> nn.Linear:
    linear = nn.Linear(weight.shape[1], weight.shape[0], device="meta")
    linear.weight = nn.Parameter(weight.to(dtype), requires_grad=False)
    linear.bias = nn.Parameter(bias.to(dtype), requires_grad=False)
    return linear
