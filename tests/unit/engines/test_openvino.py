"""Sessions by OpenVINO: the same masks as by torch, whatever happens in the stream."""

from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from ssa_stream.engines import Engine, EngineCache, open_engine
from ssa_stream.engines.openvino import OpenvinoRuntime
from ssa_stream.errors import ConfigError
from ssa_stream.model import Stages
from ssa_stream.streaming import MaskResult, ReferSession, SessionConfig, SessionState
from tests.support.engine_network import SIZE, WINDOW, engine_network
from tests.support.tiny_model import random_frames

pytestmark = pytest.mark.slow

CONFIG = SessionConfig(window=WINDOW, short_edge_px=64)
SHAPE = (60, 90)
"""Of the frames: the network sees `SIZE` of them, padded."""


@pytest.fixture
def engine(built_engines: EngineCache) -> Engine:
    """What `auto` takes."""
    return open_engine(engine_network(), window=WINDOW, cache=built_engines)


def play(model: Stages) -> tuple[list[MaskResult], SessionState]:
    """Two prompts, one of them new in the running stream, three of them for a while."""
    session = ReferSession(model, CONFIG, ["a dog"])
    results = []
    frames = random_frames(9, SHAPE)
    for number, frame in enumerate(frames):
        if number == 4:
            session.add_prompt("the red car", "car")
        if number == 6:
            session.add_prompt("a bird", "bird")
        if number == 7:
            session.remove_prompt("bird")
        results += session.push(frame)
    return results, session.state()


def assert_same(made: list[MaskResult], expected: list[MaskResult]) -> None:
    """Up to rounding."""
    assert [(one.prompt_id, one.frame_index) for one in made] == [(one.prompt_id, one.frame_index) for one in expected]
    for one, other in zip(made, expected, strict=True):
        assert one.probability == pytest.approx(other.probability, abs=1e-3)
        assert [track.track_id for track in one.tracks] == [track.track_id for track in other.tracks]
        assert (one.merged() != other.merged()).mean() < 5e-3


def test_a_session_is_that_of_torch_and_goes_on_by_it(engine: Engine) -> None:
    """Filling windows, replay, several prompts; and a state of one engine goes on in the other."""
    assert engine.choice.name == "openvino"
    assert "96x64" in engine.choice.reason
    torch_results, torch_state = play(engine_network())
    results, state = play(engine)
    assert_same(results, torch_results)
    further = random_frames(12, SHAPE)[9:]
    ends = []
    for model, start in ((engine, torch_state), (engine_network(), state)):
        session = ReferSession(model, CONFIG)
        session.restore(SessionState.from_bytes(start.to_bytes()))
        ends.append([result for frame in further for result in session.push(frame)])
    assert_same(*ends)


def test_stages_run_as_graphs_and_results_are_the_callers_own(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """No later call changes what a stage returned, and torch runs none of the stages that have graphs."""
    network = engine_network()
    text = network.encode_text(["a dog"])
    images = torch.randn(2, 1, 3, *SIZE)
    expected = [network.generate_queries(network.condition(network.encode_stem(one), text), text) for one in images]
    with monkeypatch.context() as patched:
        for name in ("encode_stem", "condition", "generate_queries", "decode_window"):
            patched.delattr(type(network), name)
        stems = [engine.encode_stem(one) for one in images]
        maps = [engine.condition(stem, text) for stem in stems]
        made = [engine.generate_queries(one, text) for one in maps]
    for one, other in zip(made, expected, strict=True):
        for mine, theirs in zip(one[:3], other[:3], strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-3)


def test_what_is_kept_is_of_one_number_type(tmp_path: Path) -> None:
    """Each has a folder of its own: OpenVINO would answer a float32 graph with the bfloat16 one."""
    kind, weights = TensorProto.FLOAT, np.linspace(-1, 1, 64 * 64, dtype=np.float32).reshape(64, 64)
    ends = [helper.make_tensor_value_info(name, kind, [64, 64]) for name in ("x", "y")]
    node = helper.make_node("MatMul", ["x", "weights"], ["y"])
    graph = helper.make_graph([node], "g", ends[:1], ends[1:], [numpy_helper.from_array(weights, "weights")])
    path = tmp_path / "0.onnx"
    path.write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10).SerializeToString()
    )
    for reduced in (True, False):
        loaded = OpenvinoRuntime().load(path, {"x": (64, 64)}, reduced=reduced, threads=1, kept=tmp_path / "kept")
        (made,) = loaded([weights])
    np.testing.assert_allclose(made, weights @ weights, rtol=1e-4, atol=1e-4)
    assert len(list((tmp_path / "kept").rglob("*.blob"))) == 2


def test_engines_that_cannot_be_are_refused() -> None:
    """With what is there instead."""
    with pytest.raises(ConfigError, match=r"engine is 'fast'; expected one of auto, torch"):
        open_engine(engine_network(), "fast")  # type: ignore[arg-type]


def test_auto_takes_torch_where_nothing_is_built(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Nobody waits for a build that was not asked for."""
    opened = open_engine(engine_network(), cache=EngineCache(tmp_path_factory.mktemp("none") / "none"))
    assert opened.choice.name == "torch"
    assert "ssa-stream engine build" in opened.choice.reason
