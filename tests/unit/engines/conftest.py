"""Graphs of a small network, written down once in a run of the tests: that takes half a minute of processor time."""

import fcntl

import pytest

from ssa_stream.engines import EngineCache, build_engines
from tests.support.engine_network import SIZE, WINDOW, engine_network
from tests.support.tiny_model import one_model_thread


@pytest.fixture(scope="session")
def built_engines(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> EngineCache:
    """OpenVINO for up to two prompts; all processes of the run share it, and the first one builds it."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "engines"
    folder.mkdir(exist_ok=True)
    cache, said = EngineCache(folder / "cache"), list[str]()
    with one_model_thread(), open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        built = build_engines(engine_network(), "openvino", SIZE, rows=2, window=WINDOW, say=said.append, cache=cache)
        assert built, said
    return cache
