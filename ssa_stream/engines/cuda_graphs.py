"""CUDA graphs: each stage of the network is recorded once for a set of shapes, and replayed with one launch.

At the sizes of a live stream a GPU waits for the processor, which launches hundreds of small kernels for each frame. A
graph launches them together. It reads and writes fixed memory: inputs are copied into it, and results are copied out of
it, since what a stage returns is the caller's own.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor

from ssa_stream.engines.engine import Engine
from ssa_stream.engines.graphs import StageName
from ssa_stream.engines.names import EngineChoice
from ssa_stream.engines.proof import deviations, tolerance
from ssa_stream.errors import ConfigError
from ssa_stream.model import SSA, CarriedPool, FeatureMaps, FrameQueries, TextFeatures, WindowOutput
from ssa_stream.model.kept import holding

__all__ = ["CudaGraphEngine", "CudaRecorder", "Recorder", "Recording", "open_cuda_graphs"]

_Output = TypeVar("_Output")
_RECORDED_AT = 3
"""At which use of a shape it is recorded: a replay of frames, or an odd size, comes once or twice."""
_MOST_GRAPHS = 32
_MOST_COUNTED = 256
"""Shapes whose uses are counted."""
_IDLE_CALLS = 2000
"""A graph that was not used for so many calls of stages makes room for another."""
_WARM_UPS = 2
_PROVEN_AS: dict[str, StageName] = {
    "encode_stem": "stem",
    "condition": "condition",
    "generate_queries": "queries",
    "decode_window": "window",
}
_LEAF = object()


class Recording(NamedTuple):
    """Recorded work.

    Attributes:
        output: What the work returned; replaying writes to the same tensors.
        replay: Does the work again, with what its inputs hold then.
    """

    output: Any
    replay: Callable[[], None]


class Recorder(Protocol):
    """What records the work of a device."""

    def record(self, work: Callable[[], Any]) -> Recording:
        """Do work that only depends on fixed tensors, and record it; raises what the work or the device raises."""


class CudaRecorder:
    """Records on a CUDA device. All graphs share their memory: they run one after the other, on one stream.

    Args:
        device: Of the network.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)
        self._pool = torch.cuda.graph_pool_handle()

    def record(self, work: Callable[[], Any]) -> Recording:
        """Warm up on a stream beside, where libraries take their working memory, then record there.

        Other threads may use the device meanwhile.
        """
        with torch.cuda.device(self._device):
            current = torch.cuda.current_stream()
            self._stream.wait_stream(current)
            with torch.cuda.stream(self._stream):
                for _ in range(_WARM_UPS):
                    work()
            current.wait_stream(self._stream)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, self._pool, self._stream, capture_error_mode="thread_local"):
                output = work()
        return Recording(output, graph.replay)


@dataclass(slots=True, eq=False)
class _Graph:
    """A recording, the tensors that it reads, and at which call it was used last."""

    inputs: list[Tensor]
    recording: Recording
    held: list[object]
    used_at: int


class CudaGraphEngine(Engine):
    """The network, whose stages run as recorded graphs.

    A shape is computed by the network itself until it has come three times. A stage whose recording fails, or does not
    give the network's numbers, is left to the network. Threads may share an object, on one stream of the device.

    Args:
        network: What computes. Its weights must not move any more.
        recorder: Of its device.
        say: Takes one line when something is not recorded that should be.
        most_graphs: Limit of recordings.
    """

    def __init__(
        self, network: SSA, recorder: Recorder, *, say: Callable[[str], None], most_graphs: int = _MOST_GRAPHS
    ) -> None:
        super().__init__(network, EngineChoice("cuda-graph"))
        self._recorder, self._say, self._most = recorder, say, most_graphs
        self._graphs: OrderedDict[object, _Graph] = OrderedDict()  # least recently used first
        self._uses: OrderedDict[object, int] = OrderedDict()
        self._failed: set[str] = set()
        self._calls = 0
        self._said_full = False
        self._lock = threading.Lock()

    @property
    def num_graphs(self) -> int:
        """How many recordings there are."""
        return len(self._graphs)

    def encode_stem(self, images: Tensor) -> Tensor:
        """See `Stages`."""
        return self._run(self.network.encode_stem, images)

    def condition(self, stem: Tensor, text: TextFeatures, frame_index: Tensor | None = None) -> FeatureMaps:
        """See `Stages`."""
        return self._run(self.network.condition, stem, text, frame_index)

    def generate_queries(self, maps: FeatureMaps, text: TextFeatures) -> FrameQueries:
        """See `Stages`."""
        return self._run(self.network.generate_queries, maps, text)

    def decode_window(self, aligned: Tensor, text: Tensor, carried: CarriedPool | None = None) -> WindowOutput:
        """See `Stages`."""
        return self._run(self.network.decode_window, aligned, text, carried)

    def _run(self, stage: Callable[..., _Output], *args: Any) -> _Output:
        name, inputs = stage.__name__, list[Tensor]()
        form = _flattened(args, inputs)
        key = (name, form, tuple(_layout(tensor) for tensor in inputs))
        if not torch.is_grad_enabled():
            with self._lock:
                graph = self._graph(key, name, lambda fixed: stage(*_rebuilt(form, iter(fixed))), inputs)
                if graph is not None:
                    replayed: _Output = _replayed(graph, inputs)
                    return replayed
        return stage(*args)

    def _graph(
        self, key: object, name: str, work: Callable[[list[Tensor]], Any], inputs: list[Tensor]
    ) -> _Graph | None:
        """The recording for a key, made if it is time for it; None if the network is to compute."""
        self._calls += 1
        if (known := self._graphs.get(key)) is not None:
            self._graphs.move_to_end(key)
            known.used_at = self._calls
            return known
        if name in self._failed:
            return None
        uses = self._uses[key] = self._uses.pop(key, 0) + 1
        if len(self._uses) > _MOST_COUNTED:
            self._uses.popitem(last=False)
        if uses < _RECORDED_AT or not self._has_room():
            return None
        try:
            graph = self._recorded(work, inputs)
            problem = self._deviation(graph, work, name, inputs)
        except Exception as error:  # of device, driver or a library, each with its own kinds; the network can compute
            problem = f"recording it failed ({type(error).__name__}: {error})"
        if problem:
            self._failed.add(name)
            self._say(f"{name} runs without a CUDA graph: {problem}")
            return None
        self._graphs[key] = graph
        self._uses.pop(key, None)
        return graph

    def _has_room(self) -> bool:
        if len(self._graphs) < self._most:
            return True
        oldest = next(iter(self._graphs))
        if self._calls - self._graphs[oldest].used_at > _IDLE_CALLS:
            del self._graphs[oldest]
            return True
        if not self._said_full:
            self._said_full = True
            self._say(
                f"{self._most} CUDA graphs are in use: further shapes (sizes of frames, numbers of prompts) run "
                f"without one until others are idle"
            )
        return False

    def _deviation(self, graph: _Graph, work: Callable[[list[Tensor]], Any], name: str, inputs: list[Tensor]) -> str:
        """What is wrong with a recording; empty if nothing is. Tried with other numbers than it was recorded with."""
        others = [tensor.flip(-1) if tensor.is_floating_point() else tensor for tensor in inputs]
        made, expected = list[Tensor](), list[Tensor]()
        _flattened(_replayed(graph, others), made)
        _flattened(work(others), expected)
        allowed = tolerance(_PROVEN_AS[name], self.dtype)
        worst = max(deviations(made, expected, [str(i) for i in range(len(made))]).values())
        return "" if worst <= allowed else f"it gives other numbers (by {worst:.1e} of their rms, {allowed:g} allowed)"

    def _recorded(self, work: Callable[[list[Tensor]], Any], inputs: list[Tensor]) -> _Graph:
        with torch.inference_mode(False), torch.no_grad():  # else they could not be written to outside inference
            fixed = [torch.empty_like(tensor) for tensor in inputs]
            for own, given in zip(fixed, inputs, strict=True):
                own.copy_(given)
        with holding() as held:
            recording = self._recorder.record(lambda: work(fixed))
        return _Graph(fixed, recording, held, self._calls)


def open_cuda_graphs(network: SSA, say: Callable[[str], None]) -> CudaGraphEngine:
    """The engine for a network on a CUDA device; convolutions get the order of memory that they are fastest in.

    Raises:
        ConfigError: It is on another device.
    """
    if network.device.type != "cuda":
        raise ConfigError(
            f"engine 'cuda-graph' is for CUDA devices; the network is on {network.device}: choose device cuda, or "
            f"engine torch"
        )
    return CudaGraphEngine(network.to(memory_format=torch.channels_last), CudaRecorder(network.device), say=say)


def _replayed(graph: _Graph, inputs: list[Tensor]) -> Any:
    for own, given in zip(graph.inputs, inputs, strict=True):
        own.copy_(given)
    graph.recording.replay()
    outputs = list[Tensor]()
    form = _flattened(graph.recording.output, outputs)
    return _rebuilt(form, iter([tensor.clone() for tensor in outputs]))


def _flattened(value: Any, tensors: list[Tensor]) -> Any:
    """Take the tensors out of nested tuples; what is left says where they were, and can be a key."""
    if isinstance(value, Tensor):
        tensors.append(value)
        return _LEAF
    if isinstance(value, tuple):
        return type(value), tuple(_flattened(part, tensors) for part in value)
    return value


def _rebuilt(form: Any, tensors: Any) -> Any:
    """Put tensors back in their places."""
    if form is _LEAF:
        return next(tensors)
    if isinstance(form, tuple):
        kind, parts = form
        made = [_rebuilt(part, tensors) for part in parts]
        return kind(*made) if hasattr(kind, "_fields") else kind(made)
    return form


def _layout(tensor: Tensor) -> tuple[object, ...]:
    """What a recording depends on: kernels are chosen by shape, type and order in memory."""
    strides = tuple(stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True) if size > 1)
    return tuple(tensor.shape), strides, tensor.dtype
