"""How an engine proves itself: drawn pictures and sentences go through torch, and the engine is asked for the same."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ssa_stream.engines.graphs import StageName, stage_graph
from ssa_stream.model import SSA, TextFeatures, empty_carry

__all__ = ["deviations", "tolerance", "trial_inputs"]

_SENTENCES = ("the red circle on the left", "a person who carries a box", "the small blue square", "what moves")
_TOLERANCES = {torch.float32: 1e-3, torch.bfloat16: 0.25}
"""Greatest deviation of any number, of the root mean square of its output. Of float32, rounding gives about 1e-5; of
bfloat16, whose numbers have 8 bits, some hundredths."""


def tolerance(stage: StageName, dtype: torch.dtype) -> float:
    """The greatest deviation that is allowed."""
    return _TOLERANCES[dtype]


@torch.no_grad()
def trial_inputs(
    network: SSA, stage: StageName, size: tuple[int, int], axes: Mapping[str, int]
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Inputs of a stage as they come in service, and what torch makes of them.

    Args:
        network: The network.
        stage: Which.
        size: Height and width of the padded pictures.
        axes: Lengths of the free axes.
    """
    drawn = torch.Generator().manual_seed(0)
    graph = stage_graph(network, stage, size)
    if stage == "window":
        C, N = network.config.hidden_dim, network.config.num_queries
        R, T = axes["rows"], axes["time"]
        queries = network.project_queries(torch.randn(R, T, N, C, generator=drawn).to(network.dtype))
        text = torch.randn(R, T, C, generator=drawn).to(network.dtype)
        carried = empty_carry(N, C, network.device, R)
        if R > 1:  # one with a memory beyond the window, one without
            carried.log_weight[0], carried.mean[0] = 1.0, torch.randn(N, C, generator=drawn)
        inputs: tuple[Tensor, ...] = (queries, text, *carried)
    else:
        rows = axes.get("rows", 1)
        images = _pictures(axes.get("frames", rows), size, drawn).to(network.dtype)
        inputs = (images,)
        if stage != "stem":
            stem, text_of = network.encode_stem(images), _texts(network, rows)
            inputs = (stem, text_of.words, text_of.mask, text_of.sentence)
            if stage == "queries":
                inputs = (*network.condition(stem, text_of), text_of.sentence)
    made = graph.module(*inputs)
    return inputs, made if isinstance(made, tuple) else (made,)


def deviations(made: Sequence[Tensor], expected: Sequence[Tensor], names: Sequence[str]) -> dict[str, float]:
    """Greatest deviation of each output, of its root mean square; infinite if a shape or a number is not one."""
    found = {}
    for name, one, other in zip(names, made, expected, strict=True):
        if one.shape != other.shape:
            found[name] = float("inf")
            continue
        one, other = one.float(), other.float()
        rms = float(other.square().mean().sqrt())
        worst = float((one - other).abs().max()) / max(rms, 1e-6)
        found[name] = worst if worst == worst else float("inf")
    return found


def _pictures(count: int, size: tuple[int, int], drawn: torch.Generator) -> Tensor:
    """Normalised pictures: soft shapes, and noise."""
    coarse = torch.randn(count, 3, max(1, size[0] // 16), max(1, size[1] // 16), generator=drawn)
    smooth = torch.nn.functional.interpolate(coarse, size=size, mode="bilinear", align_corners=False)
    return smooth + 0.3 * torch.randn(count, 3, *size, generator=drawn)


def _texts(network: SSA, rows: int) -> TextFeatures:
    return network.encode_text([_SENTENCES[row % len(_SENTENCES)] for row in range(rows)])
