"""CUDA graphs: each stage of the network is recorded once for a set of shapes, and replayed with one launch.

At the sizes of a live stream a GPU waits for the processor, which launches hundreds of small kernels for each frame. A
graph launches them together. It reads and writes fixed memory: inputs are copied into it, and results are copied out of
it, since what a stage returns is the caller's own.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor

from ssa_stream.model import CarriedPool, FeatureMaps, FrameQueries, SsaConfig, TextFeatures, WindowOutput
from ssa_stream.model.kept import holding
from ssa_stream.model.stages import Stages

__all__ = ["CudaRecorder", "GraphStages", "Recorder", "Recording"]

_Output = TypeVar("_Output")
_RECORDED_AT = 3
"""At which use of a shape it is recorded: a replay of frames, or an odd size, comes once or twice."""
_MOST_GRAPHS = 32
_MOST_COUNTED = 256
"""Shapes whose uses are counted."""
_IDLE_CALLS = 2000
"""A graph that was not used for so many calls of stages makes room for another."""
_WARM_UPS = 2
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


class GraphStages:
    """The stages of a network by recorded graphs; see `Stages`.

    A shape is computed by the network itself until it has come three times. A stage whose recording fails is left to
    the network. Threads may share an object, on one stream of the device.

    Args:
        network: What computes. Its weights must not move any more.
        recorder: Of its device.
        say: Takes one line when something is not recorded that should be.
        most_graphs: Limit of recordings.
    """

    def __init__(
        self, network: Stages, recorder: Recorder, *, say: Callable[[str], None], most_graphs: int = _MOST_GRAPHS
    ) -> None:
        self._network, self._recorder, self._say, self._most = network, recorder, say, most_graphs
        self._graphs: OrderedDict[object, _Graph] = OrderedDict()  # least recently used first
        self._uses: OrderedDict[object, int] = OrderedDict()
        self._failed: set[str] = set()
        self._calls = 0
        self._said_full = False
        self._lock = threading.Lock()

    @property
    def config(self) -> SsaConfig:
        """Sizes."""
        return self._network.config

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self._network.device

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights."""
        return self._network.dtype

    @property
    def num_graphs(self) -> int:
        """How many recordings there are."""
        return len(self._graphs)

    def encode_text(self, prompts: Sequence[str]) -> TextFeatures:
        """Not recorded: it runs once for a sentence."""
        return self._network.encode_text(prompts)

    def cut_off(self, prompt: str) -> str | None:
        """As the network says."""
        return self._network.cut_off(prompt)

    def encode_stem(self, images: Tensor) -> Tensor:
        """See `SSA.encode_stem`."""
        return self._run(self._network.encode_stem, images)

    def condition(self, stem: Tensor, text: TextFeatures, frame_index: Tensor | None = None) -> FeatureMaps:
        """See `SSA.condition`."""
        return self._run(self._network.condition, stem, text, frame_index)

    def generate_queries(self, maps: FeatureMaps, text: TextFeatures) -> FrameQueries:
        """See `SSA.generate_queries`."""
        return self._run(self._network.generate_queries, maps, text)

    def project_queries(self, queries: Tensor) -> Tensor:
        """Not recorded: it is one kernel."""
        return self._network.project_queries(queries)

    def decode_window(self, aligned: Tensor, text: Tensor, carried: CarriedPool | None = None) -> WindowOutput:
        """See `SSA.decode_window`."""
        return self._run(self._network.decode_window, aligned, text, carried)

    def predict_masks(self, embeddings: Tensor, mask_features: Tensor) -> Tensor:
        """Not recorded: it is one kernel, for any number of queries."""
        return self._network.predict_masks(embeddings, mask_features)

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
        except Exception as error:  # of device, driver or a library, each with its own kinds; the network can compute
            self._failed.add(name)
            self._say(f"{name} runs without a CUDA graph: recording it failed ({type(error).__name__}: {error})")
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

    def _recorded(self, work: Callable[[list[Tensor]], Any], inputs: list[Tensor]) -> _Graph:
        with torch.inference_mode(False), torch.no_grad():  # else they could not be written to outside inference
            fixed = [torch.empty_like(tensor) for tensor in inputs]
            for own, given in zip(fixed, inputs, strict=True):
                own.copy_(given)
        with holding() as held:
            recording = self._recorder.record(lambda: work(fixed))
        return _Graph(fixed, recording, held, self._calls)


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
