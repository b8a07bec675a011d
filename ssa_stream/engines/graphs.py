"""What is written down as graphs: each stage as a module of plain tensors, with its inputs, outputs and free axes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from ssa_stream.model import SSA, CarriedPool, FeatureMaps, TextFeatures

__all__ = ["STAGES", "StageGraph", "StageName", "stage_graph", "weights_of"]

StageName = Literal["stem", "condition", "queries", "window"]
STAGES: tuple[StageName, ...] = get_args(StageName)
_MAPS = ("map4", "map8", "map16", "map32")
_WEIGHTS: dict[StageName, tuple[str, ...]] = {
    "stem": ("clip.visual.trunk",),
    "condition": ("clip.visual.trunk", "adapters"),
    "queries": ("sentence_resizer", "pixel_decoder", "frame_decoder", "mask_moments", "video_mask_features"),
    "window": ("video_decoder",),
}
_ROWS, _FRAMES = 3, 2
"""Of the tensors that a graph is written down with. Not 1: torch takes that for a constant."""


@dataclass(frozen=True, slots=True)
class StageGraph:
    """A stage to be written down.

    Attributes:
        name: Which.
        module: Takes and gives plain tensors.
        inputs: Their names, in order.
        outputs: Their names, in order.
        example: One tensor an input.
        free: Names of the axes of each input that may have any length, by the number of the axis.
    """

    name: str
    module: nn.Module
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    example: tuple[Tensor, ...]
    free: tuple[dict[int, str], ...]

    def shapes(self, axes: Mapping[str, int]) -> dict[str, tuple[int, ...]]:
        """Shapes of the inputs by name, where the free axes have these lengths."""
        return {
            name: tuple(axes[free[i]] if i in free else side for i, side in enumerate(tensor.shape))
            for name, tensor, free in zip(self.inputs, self.example, self.free, strict=True)
        }


class _Stem(nn.Module):
    def __init__(self, network: SSA) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        return self.network.encode_stem(images)


class _Condition(nn.Module):
    def __init__(self, network: SSA) -> None:
        super().__init__()
        self.network = network

    def forward(self, stem: Tensor, words: Tensor, mask: Tensor, sentence: Tensor) -> FeatureMaps:
        return self.network.condition(stem, TextFeatures(mask.long(), words, mask, sentence))


class _Queries(nn.Module):
    def __init__(self, network: SSA) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, map4: Tensor, map8: Tensor, map16: Tensor, map32: Tensor, sentence: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        text = TextFeatures(sentence, sentence, sentence, sentence)  # only the sentence is looked at
        made = self.network.generate_queries((map4, map8, map16, map32), text)
        return made.queries, made.text, made.mask_features


class _Window(nn.Module):
    def __init__(self, network: SSA) -> None:
        super().__init__()
        self.network = network

    def forward(self, aligned: Tensor, text: Tensor, log_weight: Tensor, mean: Tensor) -> tuple[Tensor, ...]:
        made = self.network.decode_window(aligned, text, CarriedPool(log_weight, mean))
        return made.probability, made.mask_embedding, made.enhanced, made.pooling_logits, made.initial_queries


def stage_graph(network: SSA, name: StageName, size: tuple[int, int]) -> StageGraph:
    """A stage for pictures of one size.

    Args:
        network: float32, in evaluation mode, without gradients, on the processor.
        name: Which stage.
        size: Height and width of the padded pictures at the network; `window` does not depend on it.
    """
    rows, frames = {0: "rows"}, {0: "frames"}
    if name == "stem":
        example: tuple[Tensor, ...] = (torch.zeros(_FRAMES, 3, *size),)
        return StageGraph(name, _Stem(network), ("images",), ("stem",), example, (frames,))
    C, N = network.config.hidden_dim, network.config.num_queries
    if name == "window":
        names: tuple[str, ...] = ("aligned", "text", "log_weight", "mean")
        outputs: tuple[str, ...] = (
            "probability",
            "mask_embedding",
            "enhanced",
            "pooling_logits",
            "initial_queries",
        )
        T = 5
        example = (torch.zeros(_ROWS, T, N, C), torch.zeros(_ROWS, T, C), torch.zeros(_ROWS, N))
        example = (*example, torch.zeros(_ROWS, N, C))
        timed = {0: "rows", 1: "time"}
        return StageGraph(name, _Window(network), names, outputs, example, (timed, timed, rows, rows))
    width, channels = network.text_dim, network.trunk_channels
    sentence = torch.zeros(_ROWS, width)
    if name == "condition":
        L = network.config.clip.num_words
        stem = torch.zeros(_ROWS, channels[0], size[0] // 4, size[1] // 4)
        mask = torch.ones(_ROWS, L, dtype=torch.bool)
        names = ("stem", "words", "mask", "sentence")
        example = (stem, torch.zeros(_ROWS, L, width), mask, sentence)
        return StageGraph(name, _Condition(network), names, _MAPS, example, (rows,) * 4)
    maps = [torch.zeros(_ROWS, c, size[0] // s, size[1] // s) for c, s in zip(channels, (4, 8, 16, 32), strict=True)]
    outputs = ("queries", "text", "mask_features")
    return StageGraph(name, _Queries(network), (*_MAPS, "sentence"), outputs, (*maps, sentence), (rows,) * 5)


def weights_of(network: SSA, name: StageName) -> Sequence[tuple[str, Tensor]]:
    """Names and tensors of the weights that a stage uses, in order of their names."""
    prefixes = tuple(f"{module}." for module in _WEIGHTS[name])
    return sorted((key, value) for key, value in network.state_dict().items() if key.startswith(prefixes))
