"""Whether a window shows what its sentence speaks of at all, read from its frame queries."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["NoPresence", "Presence"]


class Presence(nn.Module):
    """What the video queries of a window have in common: how surely there is anything that looks as the sentence says.

    A linear reading of each frame query, of which the greatest of the window counts: what is seen in one frame is
    there. Off by default (`VideoDecoderConfig.presence`); see ADR 0063. It is not trained but set (`set_reading`, by
    `tools/calibrate.py`), and gives 0 until then.

    Args:
        dim: `C`.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(dim))
        self.register_buffer("bias", torch.zeros(1))

    def forward(self, aligned: Tensor) -> Tensor:
        """What is added to the log-odds of all video queries.

        Args:
            aligned: Projected frame queries in any order, `(B, T, N, C)`.
        Returns:
            `(B,)` float32.
        """
        with torch.autocast(aligned.device.type, enabled=False):
            of_queries = aligned.float() @ self.weight.float()  # (B, T, N)
            return of_queries.amax(dim=(-2, -1)) + self.bias.float()

    def shift(self, class_logits: Tensor, presence: Tensor) -> Tensor:
        """Class logits `(B, N, 2)` of video queries whose log-odds are moved by the presence, `(B,)`."""
        return class_logits + F.pad(presence[:, None, None], (0, 1)).to(class_logits.dtype)

    @torch.no_grad()
    def set_reading(self, weight: Tensor, bias: float) -> None:
        """Read frame queries with `weight`, `(C,)`, and shift the outcome by `bias`."""
        self.weight.copy_(weight)
        self.bias.fill_(bias)


class NoPresence(nn.Module):
    """In the place of `Presence` in the published network: logits stay as they are."""

    def forward(self, aligned: Tensor) -> Tensor:
        """Zeros, `(B,)` float32."""
        return aligned.new_zeros(aligned.shape[0], dtype=torch.float32)  # len() would be a constant of a graph

    def shift(self, class_logits: Tensor, presence: Tensor) -> Tensor:
        """The same logits."""
        return class_logits
