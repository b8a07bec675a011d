"""A network as ONNX files that other programs run: a file for each stage, and the tokenizer of its sentences."""

import functools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ssa_stream.engines.cache import EngineCache, fingerprint_of
from ssa_stream.engines.export import export_stage
from ssa_stream.engines.graphs import STAGES, StageGraph, stage_graph
from ssa_stream.engines.program import GraphStep
from ssa_stream.engines.tokenizer_file import tokenizer_file
from ssa_stream.files import replacing, write_whole
from ssa_stream.model import SSA, MaskSizes
from ssa_stream.model.clip import encode_text
from ssa_stream.model.preprocess import PIXEL_MEAN, PIXEL_STD

__all__ = ["TOKENIZER", "file_names", "write_files"]

TOKENIZER = "tokenizer.json"
_EXAMPLES = 3


class _Text(nn.Module):
    def __init__(self, network: SSA) -> None:
        super().__init__()
        self.network = network

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        made = encode_text(self.network.clip, tokens, self.network.config.clip.num_words)
        return made.words, made.mask, made.sentence


class _Project(nn.Module):
    def __init__(self, network: SSA) -> None:
        super().__init__()
        self.network = network

    def forward(self, queries: Tensor) -> Tensor:
        # The network may have no projection, and a graph without a node is none.
        return self.network.project_queries(queries) + 0


def file_names() -> tuple[str, ...]:
    """Names of the files of a network, in the order in which they are written."""
    return (*(f"{name}.onnx" for name in ("text", *STAGES, "project")), TOKENIZER)


def write_files(
    network: SSA,
    sizes: MaskSizes,
    folder: Path,
    facts: Mapping[str, str],
    *,
    cache: EngineCache | None = None,
    overwrite: bool = False,
    on_file: Callable[[str], None] = lambda name: None,
) -> None:
    """Write a network for pictures of one size; one stage at a time is in memory beside it.

    Args:
        network: float32, whole, on the processor, in evaluation mode; it has no gradients afterwards.
        sizes: Of the pictures.
        folder: Is there.
        facts: What the metadata of each file says beside sizes and numbers of the network.
        cache: Where stages are taken from that were written down before; None takes none.
        overwrite: Whether files may be there already.
        on_file: Told the name of each file before it is made.
    Raises:
        OSError: A file is there already, or cannot be written.
    """
    import onnx

    network.requires_grad_(False)  # gradients cannot be written down
    own = {**_facts(network, sizes), **facts}
    graphs: dict[str, Callable[[], StageGraph]] = {"text": lambda: _text_graph(network)}
    graphs |= {name: functools.partial(stage_graph, network, name, sizes.padded) for name in STAGES}
    graphs["project"] = lambda: _project_graph(network)
    for name, graph in graphs.items():
        on_file(f"{name}.onnx")
        model = _kept(network, name, sizes.padded, cache) or export_stage(graph(), keeps_operator=False)
        onnx.helper.set_model_props(model, {**own, "stage": name})
        with replacing(folder / f"{name}.onnx", overwrite=overwrite) as partial:
            onnx.save(model, partial)
    on_file(TOKENIZER)
    tokenizer = json.dumps(tokenizer_file(network.clip.context_length), ensure_ascii=False)
    write_whole(folder / TOKENIZER, tokenizer, overwrite=overwrite)


def _kept(network: SSA, name: str, size: tuple[int, int], cache: EngineCache | None) -> Any:
    """A stage as an engine has it, where that is one graph of standard operators; else None."""
    import onnx

    stage = next((one for one in STAGES if one == name), None)
    found = cache.find(fingerprint_of(network, stage), stage, size, whole=True) if cache and stage else None
    if found is None or len(found.program.steps) != 1 or not isinstance(step := found.program.steps[0], GraphStep):
        return None
    return onnx.load(found.folder / step.file)


def _facts(network: SSA, sizes: MaskSizes) -> dict[str, str]:
    config = network.config
    numbers = {
        "source_size": sizes.output,
        "network_size": sizes.network,
        "padded_size": sizes.padded,
        "pixel_mean": PIXEL_MEAN,
        "pixel_std": PIXEL_STD,
        "context_length": (network.clip.context_length,),
        "num_words": (config.clip.num_words,),
        "num_queries": (config.num_queries,),
        "hidden_dim": (config.hidden_dim,),
    }
    return {"name": config.name, **{key: " ".join(map(str, values)) for key, values in numbers.items()}}


def _text_graph(network: SSA) -> StageGraph:
    tokens = torch.zeros(_EXAMPLES, network.clip.context_length, dtype=torch.int64)
    return StageGraph("text", _Text(network), ("tokens",), ("words", "mask", "sentence"), (tokens,), ({0: "rows"},))


def _project_graph(network: SSA) -> StageGraph:
    queries = torch.zeros(_EXAMPLES, network.config.num_queries, network.config.hidden_dim)
    return StageGraph("project", _Project(network), ("queries",), ("projected",), (queries,), ({0: "rows"},))
