"""Engines of the smallest network, built once for all tests: writing graphs down takes many seconds."""

import fcntl

import pytest

from ssa_stream.engines import EngineCache, build_engines
from tests.support.engine_network import SIZE, engine_network
from tests.support.tiny_model import one_model_thread

__all__ = ["WINDOW", "built_cache"]

WINDOW = 3


def built_cache(factory: pytest.TempPathFactory) -> EngineCache:
    """Graphs of `engine_network`, proven with OpenVINO for up to two prompts; one folder for all workers of a run."""
    base = factory.getbasetemp()
    shared = base.parent if base.name.startswith("popen-") else base  # as pytest-xdist names the folders of workers
    cache, said = EngineCache(shared / "engines"), list[str]()
    with (shared / "engines.lock").open("w") as lock, one_model_thread():
        fcntl.flock(lock, fcntl.LOCK_EX)
        built = build_engines(engine_network(), "openvino", SIZE, rows=2, window=WINDOW, say=said.append, cache=cache)
    assert built, said
    return cache
