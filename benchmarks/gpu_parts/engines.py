"""A push by each engine: time, whether its masks are those of torch, memory."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from benchmarks.gpu_parts.setting import PROMPTS, Row, Setting
from ssa_stream.engines import open_engine
from ssa_stream.engines.cuda_graphs import CudaGraphEngine, CudaRecorder, Recorder, Recording
from ssa_stream.errors import ConfigError
from ssa_stream.model import SSA, Stages
from ssa_stream.streaming import MaskResult, ReferSession, SessionConfig

_SHARE_EQUAL = 0.98
"""Of mask pixels, of random weights, which decide little clearly."""


class HostRecorder:
    """In the place of a GPU's: what was recorded is done again."""

    def record(self, work: Any) -> Recording:
        """Do the work once."""
        output = work()

        def replay() -> None:
            for own, new in zip(_tensors(output), _tensors(work()), strict=True):
                own.copy_(new)

        return Recording(output, replay)


def rows(setting: Setting) -> Iterator[Row]:
    """Graphs on and off, and ONNX Runtime where it is installed."""
    for name in setting.models:
        for dtype in setting.dtypes:
            network, title = setting.network(name, dtype), f"{name} {str(dtype).removeprefix('torch.')}"
            recorder: Recorder = CudaRecorder(network.device) if setting.is_cuda else HostRecorder()
            graphs = CudaGraphEngine(network, recorder, say=lambda line: print(line, flush=True))
            eager_ms, expected = _pushes(setting, name, network)
            yield Row(f"{title}: torch", eager_ms, "ms a push")
            yield Row(f"{title}: torch, peak memory", setting.peak_mib(), "MiB")
            graph_ms, found = _pushes(setting, name, graphs)
            yield Row(f"{title}: cuda-graph", graph_ms, "ms a push")
            yield Row(f"{title}: torch / cuda-graph", eager_ms / graph_ms)
            yield Row(f"{title}: cuda-graph, recordings", graphs.num_graphs)
            yield Row(f"{title}: cuda-graph, peak memory", setting.peak_mib(), "MiB")
            yield _alike(f"{title}: cuda-graph, equal mask pixels", expected, found)
            if setting.is_cuda and not graphs.num_graphs:
                raise RuntimeError("nothing was recorded: the lines above say why")
            yield from _onnxruntime(setting, name, network, title, expected)


def _onnxruntime(setting: Setting, name: str, network: SSA, title: str, expected: list[MaskResult]) -> Iterator[Row]:
    if setting.small or network.dtype != torch.float32:
        return
    try:
        opened = open_engine(network, "onnxruntime", say=lambda line: print(line, flush=True))
    except ConfigError as error:  # not installed, or not for this device
        yield Row(f"{title}: onnxruntime", str(error))
        return
    took_ms, found = _pushes(setting, name, opened)
    yield Row(f"{title}: onnxruntime", took_ms, "ms a push")
    yield _alike(f"{title}: onnxruntime, equal mask pixels", expected, found)


def _pushes(setting: Setting, name: str, stages: Stages) -> tuple[float, list[MaskResult]]:
    """Median time of a push with a full window, and the results of the first frames."""
    frames = setting.frames(name, setting.window + 4)
    session = ReferSession(stages, SessionConfig(window=setting.window), PROMPTS[:1])
    results = [result for frame in frames for result in session.push(frame)]
    return setting.median_ms(lambda: session.push(frames[0])), results


def _alike(what: str, expected: list[MaskResult], found: list[MaskResult]) -> Row:
    equal = [float(np.mean(one.merged() == other.merged())) for one, other in zip(expected, found, strict=True)]
    share = float(np.mean(equal))
    if share < _SHARE_EQUAL:
        raise RuntimeError(f"{what}: {share:.3f} of them; expected at least {_SHARE_EQUAL}")
    return Row(what, share)


def _tensors(value: Any) -> list[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        return [value]
    return [tensor for part in value for tensor in _tensors(part)] if isinstance(value, tuple) else []
