"""The smallest network that has everything, and an engine's library that computes by torch, for tests of engines."""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import torch

from ssa_stream.engines.graphs import StageGraph
from ssa_stream.engines.program import GraphStep, Program
from ssa_stream.engines.runtime import Array, LoadedGraph
from ssa_stream.model import SSA, SsaConfig, use_operator
from tests.support.tiny_model import tiny_config

__all__ = ["SIZE", "WINDOW", "FakeGraph", "FakeRuntime", "engine_network", "fake_parts", "with_config"]

SIZE = (64, 96)
"""Height and width at the network."""
WINDOW = 3
"""Frames of a full window."""


@functools.cache
def engine_network() -> SSA:
    """One layer of each kind: writing down a graph takes as long as it has layers."""
    config = tiny_config()
    one = {name: msgspec.structs.replace(getattr(config, name), num_layers=1) for name in ("frame_decoder",)}
    one["pixel_decoder"] = msgspec.structs.replace(config.pixel_decoder, num_layers=1)
    one["video_decoder"] = msgspec.structs.replace(config.video_decoder, num_layers=1)
    return with_config(msgspec.structs.replace(config, **one))


def with_config(config: SsaConfig) -> SSA:
    """A network with weights that are the same every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = SSA(config).eval().requires_grad_(False)
    use_operator(network)
    return network


class FakeGraph:
    """Stands for a written-down stage: its file says which it is."""

    def __init__(self, graph: StageGraph) -> None:
        self.graph = graph

    def SerializeToString(self) -> bytes:  # as a graph of ONNX
        """The file's content."""
        return self.graph.name.encode()


def fake_parts(graph: StageGraph) -> tuple[Program, dict[str, Any]]:
    """A program of one graph."""
    return Program(graph.inputs, graph.outputs, (GraphStep("0.onnx", graph.inputs, graph.outputs),)), {
        "0.onnx": FakeGraph(graph)
    }


class FakeRuntime:
    """A library that computes by torch, with a mistake of a given size, or that fails."""

    name = "openvino"
    fixed_shapes = True

    def __init__(self, graphs: Mapping[str, StageGraph], *, version: str = "1", mistake: float = 0.0) -> None:
        self._graphs, self._version, self._mistake = graphs, version, mistake
        self.loads: list[str] = []
        self.reduced: set[str] = set()
        self.kept: dict[Path | None, bool] = {}
        self.fails: Exception | None = None
        self.breaks: Exception | None = None
        """What graphs raise that are loaded already."""

    @property
    def version(self) -> str:
        """As given."""
        return self._version

    def load(
        self,
        path: Path,
        shapes: Mapping[str, tuple[int, ...]] | None,
        *,
        reduced: bool,
        threads: int,
        kept: Path | None,
    ) -> LoadedGraph:
        """See `Runtime`."""
        if self.fails is not None:
            raise self.fails
        name = path.read_text()
        self.loads.append(name)
        self.reduced |= {name} if reduced else set()
        assert self.kept.setdefault(kept, reduced) == reduced, "graphs of two types are kept in one folder"
        return _FakeLoaded(self, self._graphs[name], self._mistake)


class _FakeLoaded:
    def __init__(self, runtime: FakeRuntime, graph: StageGraph, mistake: float) -> None:
        self._runtime, self._graph, self._mistake = runtime, graph, mistake

    @property
    def output_shapes(self) -> list[tuple[int, ...]]:
        """Of the example: nothing comes after the one graph of a program."""
        made = self._graph.module(*self._graph.example)
        return [tuple(one.shape) for one in (made if isinstance(made, tuple) else (made,))]

    def __call__(self, inputs: Sequence[Array]) -> list[Array]:
        """See `LoadedGraph`."""
        if self._runtime.breaks is not None:
            raise self._runtime.breaks
        made = self._graph.module(*(torch.from_numpy(array) for array in inputs))
        return [one.numpy() + self._mistake for one in (made if isinstance(made, tuple) else (made,))]
