"""First weights of a network that is trained from nothing."""

import torch
from open_clip.model import CLIP
from torch import nn

__all__ = ["initialize_trunk"]

_LAYER_SCALE = 0.5


@torch.no_grad()
def initialize_trunk(clip: CLIP) -> None:
    """Draw weights of the image trunk that keep the size of what goes through, from torch's global generator.

    timm's own first weights let a block add next to nothing at first: layer scales of 1e-6, weights of 0.02. That suits
    hundreds of thousands of steps. Here it costs all that there are; see ADR 0025.
    """
    for module in clip.visual.trunk.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            is_depthwise = isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1
            nn.init.kaiming_normal_(module.weight, nonlinearity="linear" if is_depthwise else "relu")
    for name, parameter in clip.visual.trunk.named_parameters():
        if name.endswith(".gamma"):
            nn.init.constant_(parameter, _LAYER_SCALE)
