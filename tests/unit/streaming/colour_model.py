"""A network that finds plainly coloured things: the stages of `SSA` with outcomes that a test can foresee."""

from collections.abc import Sequence
from typing import Self

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ssa_stream.model import SSA, CarriedPool, FeatureMaps, FrameQueries, TextFeatures, WindowOutput
from ssa_stream.model.preprocess import PIXEL_MEAN, PIXEL_STD
from ssa_stream.model.selection import mask_logits
from ssa_stream.model.video_decoder import pool
from tests.support.tiny_model import tiny_config

__all__ = ["COLOURS", "ColourModel", "Thing", "draw"]

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "yellow": (255, 255, 0)}
_N = len(COLOURS)
_PRESENCE = _N  # the query's last entry; the entries before it say which colour it is

Thing = tuple[str, tuple[int, int, int, int]]
"""A colour and a box: left, top, right, bottom in pixels, multiples of 4."""


def draw(*things: Thing, size: tuple[int, int] = (32, 64)) -> NDArray[np.uint8]:
    """A black frame with coloured boxes on it."""
    frame = np.zeros((*size, 3), dtype=np.uint8)
    for colour, (left, top, right, bottom) in things:
        frame[top:bottom, left:right] = COLOURS[colour]
    return frame


class ColourModel(SSA):
    """One query per colour; a prompt refers to the colours that it names, those in the newest frame.

    Args:
        shuffle: Give each frame's queries another order, as a network may.
    """

    def __init__(self, *, shuffle: bool = True) -> None:
        nn.Module.__init__(self)
        self.config = msgspec.structs.replace(tiny_config(_N), short_edge_px=32)
        self.shuffle = shuffle
        self.rng = np.random.default_rng(5)

    @property
    def device(self) -> torch.device:
        """Always the CPU."""
        return torch.device("cpu")

    @property
    def dtype(self) -> torch.dtype:
        """Always float32."""
        return torch.float32

    def train(self, mode: bool = True) -> Self:
        """There is nothing to switch."""
        return self

    def encode_text(self, prompts: Sequence[str]) -> TextFeatures:
        """Which colours a prompt names."""
        named = torch.tensor([[float(colour in prompt) for colour in COLOURS] + [0.0] for prompt in prompts])
        rows = len(prompts)
        return TextFeatures(torch.zeros(rows, 4, dtype=torch.int64), named[:, None], torch.ones(rows, 1).bool(), named)

    def cut_off(self, prompt: str) -> str | None:
        """It reads single words."""
        return None

    def encode_stem(self, images: Tensor) -> Tensor:
        """Every fourth pixel, 0..255."""
        mean, std = (torch.tensor(numbers).view(3, 1, 1) for numbers in (PIXEL_MEAN, PIXEL_STD))
        return (images * std + mean)[..., ::4, ::4]

    def condition(self, stem: Tensor, text: TextFeatures, frame_index: Tensor | None = None) -> FeatureMaps:
        """Pass the pixels on."""
        rows = stem if frame_index is None else stem[frame_index]
        return rows, rows, rows, rows

    def generate_queries(self, maps: FeatureMaps, text: TextFeatures) -> FrameQueries:
        """One query per colour and whether it is there; mask features say where."""
        palette = torch.tensor(list(COLOURS.values()), dtype=torch.float32)
        is_colour = (maps[0][:, None] - palette[None, :, :, None, None]).abs().amax(dim=2) < 64  # (B, N, h, w)
        B, N, h, w = is_colour.shape
        queries = torch.zeros(B, N, N + 1)
        queries[..., :N] = 3 * torch.eye(N)
        queries[..., _PRESENCE] = is_colour.flatten(2).any(dim=2).float() * 2 - 1
        if self.shuffle:
            queries = queries[:, torch.from_numpy(self.rng.permutation(N))]
        features = torch.cat([is_colour.float() * 8 - 4, torch.zeros(B, 1, h, w)], dim=1)
        return FrameQueries(queries, text.sentence, features)

    def project_queries(self, queries: Tensor) -> Tensor:
        """Queries are compared as they are."""
        return queries

    def decode_window(self, aligned: Tensor, text: Tensor, carried: CarriedPool | None = None) -> WindowOutput:
        """A slot is referred to if its colour is named and is in the newest frame."""
        logits = torch.zeros(aligned.shape[:3])
        newest = aligned[:, -1]
        colour = newest[..., :_N].argmax(dim=-1)
        chosen = text[:, -1].gather(1, colour) > 0
        probability = torch.where(chosen & (newest[..., _PRESENCE] > 0), 0.9, 0.1)
        embedding = nn.functional.one_hot(colour, _N + 1).float()
        return WindowOutput(probability, embedding, aligned, logits, pool(aligned, logits, carried), ())

    def predict_masks(self, embeddings: Tensor, mask_features: Tensor) -> Tensor:
        """As the network."""
        return mask_logits(embeddings, mask_features)
