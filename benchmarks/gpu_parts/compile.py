"""torch.compile, tried: whether the per-frame stages are faster than by themselves, and than as a graph."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch

from benchmarks.gpu_parts.engines import HostRecorder
from benchmarks.gpu_parts.setting import PROMPTS, Row, Setting
from ssa_stream.engines.cuda_graphs import CudaGraphEngine, CudaRecorder, Recorder
from ssa_stream.model import resize_frame, to_input
from ssa_stream.streaming import SessionConfig


@torch.inference_mode()
def rows(setting: Setting) -> Iterator[Row]:
    """Frames to queries, of the smallest network first: a larger one may not be compiled in time."""
    for name in setting.models:
        network = setting.network(name, setting.dtypes[0])
        title = f"{name} {str(network.dtype).removeprefix('torch.')}"
        frame = setting.frames(name, 1)[0]
        sizes = SessionConfig().sizes_of((frame.shape[0], frame.shape[1]), network.config)
        images = to_input([resize_frame(frame, sizes.network)], network.device, network.dtype)
        text = network.encode_text(PROMPTS[:1])

        def frame_to_queries(stages: Any, images: torch.Tensor = images, text: Any = text) -> Any:
            return stages.generate_queries(stages.condition(stages.encode_stem(images), text, None), text)

        recorder: Recorder = CudaRecorder(network.device) if setting.is_cuda else HostRecorder()
        graphs = CudaGraphEngine(network, recorder, say=lambda line: print(line, flush=True))
        plain: Callable[[], Any] = partial(frame_to_queries, network)
        yield Row(f"{title}: as it is", setting.median_ms(plain), "ms")
        yield Row(f"{title}: graph", setting.median_ms(partial(frame_to_queries, graphs)), "ms")
        if setting.small:  # writing down a network takes many seconds, whatever its size
            plain = partial(network.project_queries, torch.zeros(1, 1, network.config.hidden_dim))
        compiled = torch.compile(plain, backend="eager" if setting.small else "inductor")
        begin_s = time.perf_counter()
        compiled()
        yield Row(f"{title}: time to compile", time.perf_counter() - begin_s, "s")
        yield Row(f"{title}: compiled", setting.median_ms(compiled), "ms")
