"""Several prompts of one stream, and several streams of one prompt."""

from collections.abc import Iterator
from functools import partial

import torch

from benchmarks.gpu_parts.engines import HostRecorder
from benchmarks.gpu_parts.setting import PROMPTS, Row, Setting
from ssa_stream.engines.cuda_graphs import CudaGraphEngine, CudaRecorder, Recorder
from ssa_stream.model import Stages, resize_frame, to_input
from ssa_stream.streaming import ReferSession, SessionConfig


def rows(setting: Setting) -> Iterator[Row]:
    """Time of a push by prompts; frames a second by streams, one after the other and as one batch."""
    for name in setting.models:
        network = setting.network(name, setting.dtypes[0])
        recorder: Recorder = CudaRecorder(network.device) if setting.is_cuda else HostRecorder()
        graphs = CudaGraphEngine(network, recorder, say=lambda line: print(line, flush=True))
        title = f"{name} {str(network.dtype).removeprefix('torch.')}"
        frames = setting.frames(name, setting.window + 4)
        for count in (1, 2) if setting.small else (1, 2, 4):
            session = ReferSession(graphs, SessionConfig(window=setting.window), PROMPTS[:count])
            for frame in frames:
                session.push(frame)
            push = partial(session.push, frames[0])
            yield Row(f"{title}: {count} prompts", setting.median_ms(push), "ms a push")
        for count in (1, 2) if setting.small else (1, 2, 4, 8):
            alone, batch = (partial(_generate, graphs, setting, name, rows) for rows in ([1] * count, [count]))
            alone_ms, batch_ms = setting.median_ms(alone), setting.median_ms(batch)
            yield Row(
                f"{title}: {count} streams, queries one after the other", count / alone_ms * 1e3, "frames a second"
            )
            yield Row(f"{title}: {count} streams, queries as one batch", count / batch_ms * 1e3, "frames a second")
        yield Row(f"{title}: peak memory", setting.peak_mib(), "MiB")


@torch.inference_mode()
def _generate(stages: Stages, setting: Setting, name: str, batches: list[int]) -> None:
    """The stages that several streams may share, from pictures to queries."""
    sizes = SessionConfig().sizes_of(setting.frames(name, 1)[0].shape[:2], stages.config)
    picture = resize_frame(setting.frames(name, 1)[0], sizes.network)
    text = stages.encode_text(PROMPTS[:1])
    for rows in batches:
        images = to_input([picture] * rows, stages.device, stages.dtype)
        texts = text.take(torch.zeros(rows, dtype=torch.int64, device=stages.device))
        stages.generate_queries(stages.condition(stages.encode_stem(images), texts, None), texts)
