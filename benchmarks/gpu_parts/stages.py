"""A push, stage by stage, and how often it waits for the device."""

import statistics
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

import torch

from benchmarks.gpu_parts.setting import PROMPTS, Row, Setting
from ssa_stream.model import SSA
from ssa_stream.model.transfers import to_host
from ssa_stream.streaming import ReferSession, SessionConfig

_STAGES = ("encode_stem", "condition", "generate_queries", "project_queries", "decode_window", "predict_masks")


def rows(setting: Setting) -> Iterator[Row]:
    """Medians of each stage, with the device waited for after each; then a push as it is, and its waits."""
    for name in setting.models:
        for dtype in setting.dtypes:
            network, title = setting.network(name, dtype), f"{name} {str(dtype).removeprefix('torch.')}"
            frames = setting.frames(name, setting.window + 2)
            session = ReferSession(network, SessionConfig(window=setting.window), PROMPTS[:1])
            for frame in frames:
                session.push(frame)
            with _timed(setting, network) as taken:
                for _ in range(setting.rounds):
                    session.push(frames[0])
            for stage, times_ms in taken.items():
                yield Row(f"{title}: {stage}", statistics.median(times_ms), "ms")
            push = partial(session.push, frames[0])
            yield Row(f"{title}: push", setting.median_ms(push), "ms")
            asked, implied = _waits(setting, push)
            yield Row(f"{title}: waits that a push asks for", asked)
            yield Row(f"{title}: other operations that wait", implied)
            yield Row(f"{title}: peak memory", setting.peak_mib(), "MiB")


@contextmanager
def _timed(setting: Setting, network: SSA) -> Iterator[dict[str, list[float]]]:
    """Milliseconds of each call of a stage."""
    taken: dict[str, list[float]] = defaultdict(list)

    def timed(stage: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any) -> Any:
            setting.finish()
            begin_s = time.perf_counter()
            made = work(*args)
            setting.finish()
            taken[stage].append((time.perf_counter() - begin_s) * 1e3)
            return made

        return run

    for stage in _STAGES:
        setattr(network, stage, timed(stage, getattr(network, stage)))
    try:
        yield taken
    finally:
        for stage in _STAGES:
            delattr(network, stage)


def _waits(setting: Setting, push: Callable[[], object]) -> tuple[int, int]:
    """How often a push waits where it is meant to, and how many other operations CUDA says wait."""
    asked = 0

    def counted(tensors: Any) -> Any:
        nonlocal asked
        asked += 1
        return to_host(tensors)

    with (
        patch("ssa_stream.model.alignment.to_host", counted),
        patch("ssa_stream.streaming.gpu_masks.to_host", counted),
        warnings.catch_warnings(record=True) as told,
    ):
        warnings.simplefilter("always")
        if setting.is_cuda:
            torch.cuda.set_sync_debug_mode("warn")
        try:
            push()
        finally:
            if setting.is_cuda:
                torch.cuda.set_sync_debug_mode("default")
    return asked, sum("synchronizing" in str(one.message) for one in told)
