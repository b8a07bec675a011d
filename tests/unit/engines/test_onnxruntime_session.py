"""Sessions by ONNX Runtime, and offline figures: those of torch."""

from collections.abc import Iterator

import numpy as np
import pytest

from ssa_stream.engines import Engine, EngineCache, open_engine
from ssa_stream.errors import ConfigError
from ssa_stream.model import segment_clip
from ssa_stream.streaming import ReferSession, SessionConfig
from tests.support.engine_network import WINDOW, engine_network
from tests.support.tiny_model import one_model_thread, random_frames

pytestmark = pytest.mark.slow

SHAPE = (60, 90)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    with one_model_thread():
        yield


@pytest.fixture(scope="module")
def engine(built_engines: EngineCache) -> Engine:
    """Of the graphs that OpenVINO has, too; proven when it is first asked."""
    return open_engine(engine_network(), "onnxruntime", window=WINDOW, cache=built_engines)


def test_session_has_the_masks_of_torch_under_prompts_that_change(engine: Engine) -> None:
    """Filling windows, replay and three prompts are all run by the same graphs."""
    results = []
    for model in (engine_network(), engine):
        session = ReferSession(model, SessionConfig(window=WINDOW, short_edge_px=64), ["a dog"])
        own = []
        for number, frame in enumerate(random_frames(6, SHAPE)):
            if number == 4:
                session.add_prompt("the red car", "car")
                session.add_prompt("a bird", "bird")
            own += session.push(frame)
        results.append(own)
    for expected, made in zip(*results, strict=True):
        assert made.probability == pytest.approx(expected.probability, abs=1e-4)
        assert [track.track_id for track in made.tracks] == [track.track_id for track in expected.tracks]
        assert (made.merged() != expected.merged()).mean() < 5e-3


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_whole_clip_has_the_masks_of_torch(
    name: str, built_engines: EngineCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More frames at once than a graph of one shape takes; torch runs neither trunk nor queries."""
    network, frames = engine_network(), random_frames(8, SHAPE)
    expected = segment_clip(network, frames, "a dog", short_edge_px=64)
    model = open_engine(network, name, window=WINDOW, cache=built_engines, whole_clips=True)
    segment_clip(model, frames, "a dog", short_edge_px=64)  # all that has to be compared with torch is
    for stage in ("encode_stem", "condition", "generate_queries"):
        monkeypatch.delattr(type(network), stage)
    made = segment_clip(model, frames, "a dog", short_edge_px=64)
    assert made.slots.tolist() == expected.slots.tolist()
    assert (made.masks != expected.masks).float().mean() < 1e-3
    assert np.allclose(made.scores, expected.scores, atol=1e-3)


def test_provider_that_is_not_there_is_refused_by_name() -> None:
    """And so is one of an engine that has none."""
    with pytest.raises(ConfigError, match=r"has no NosuchExecutionProvider here"):
        open_engine(engine_network(), "onnxruntime:Nosuch")
    with pytest.raises(ConfigError, match=r"engine is 'openvino:CPU'; expected openvino"):
        open_engine(engine_network(), "openvino:CPU")
