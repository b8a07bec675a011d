"""Replay against a clock: which frames are taken, when masks come out, and what is measured."""

import itertools

import numpy as np
import pytest

from ssa_stream.evaluation import EvaluationConfig, evaluate
from ssa_stream.evaluation.realtime import RealtimePredictor, due_frame
from ssa_stream.streaming import SessionConfig
from tests.unit.evaluation.scripted import BoxData
from tests.unit.streaming.colour_model import ColourModel

FRAMES = BoxData().frames("a")
FPS = 10.0


def _taken(model_ms: float, num_frames: int = 6, config: SessionConfig | None = None) -> tuple[list[int], list[float]]:
    predictor = RealtimePredictor(ColourModel(), config or SessionConfig(window=4), model_ms)
    (prediction,) = predictor.predict(FRAMES[:num_frames], ["the red one"], FPS)
    assert prediction.emitted_at_s is not None
    assert len(prediction.masks) == len(prediction.frame_indices) == len(prediction.emitted_at_s)
    return list(prediction.frame_indices), [round(at_s, 6) for at_s in prediction.emitted_at_s]


def test_fast_model_waits_for_each_frame() -> None:
    """40 ms of each 100."""
    assert _taken(40) == ([0, 1, 2, 3, 4, 5], [0.04, 0.14, 0.24, 0.34, 0.44, 0.54])


def test_slow_model_takes_the_newest_frame() -> None:
    """After 250 ms frames 1 and 2 are there: 1 is dropped."""
    assert _taken(250) == ([0, 2, 5], [0.25, 0.5, 0.75])


def test_model_of_exactly_one_interval_drops_nothing() -> None:
    """Rounding must not make it miss the frame that arrives as it becomes free."""
    assert _taken(100)[0] == [0, 1, 2, 3, 4, 5]


def test_very_slow_model_still_takes_the_last_frame() -> None:
    """Free long after the end."""
    assert _taken(5000) == ([0, 5], [5.0, 10.0])


def test_lookahead_emits_later() -> None:
    """With one frame of lookahead a mask comes out with the next frame, the last one at the end."""
    indices, times = _taken(40, config=SessionConfig(window=4, lookahead=1))
    assert indices == [0, 1, 2, 3, 4, 5]
    assert times == [0.14, 0.24, 0.34, 0.44, 0.54, 0.54]


@pytest.mark.parametrize(
    ("free_at_s", "last", "due"), [(0.0, -1, 0), (0.05, 0, 1), (0.35, 0, 3), (0.3, 2, 3), (9.0, 3, 5), (9.0, 5, None)]
)
def test_due_frame(free_at_s: float, last: int, due: int | None) -> None:
    """The newest one, the next one if none is new, none at the end."""
    assert due_frame(free_at_s, last, 6, FPS) == due


def test_due_frame_is_not_missed_by_rounding() -> None:
    """0.29 * 100 is a little below 29."""
    assert due_frame(0.29, 20, 40, 100.0) == 29


def test_measured_replay_uses_the_clock_and_times_a_new_prompt() -> None:
    """A clock that ticks 60 ms at every look."""
    ticks = itertools.count()
    predictor = RealtimePredictor(ColourModel(), SessionConfig(window=4), clock=lambda: next(ticks) * 0.06)
    first, second = predictor.predict(FRAMES, ["the red one", "the blue one"], FPS)
    assert first.compute_s == pytest.approx((0.06,) * 6)
    assert first.prompt_to_mask_s == pytest.approx(0.06)
    assert second.prompt_to_mask_s is None


def test_simulated_report_tells_time_and_drops_and_repeats() -> None:
    """Nothing of it depends on the machine."""
    config = EvaluationConfig(session=SessionConfig(window=4), model_ms=250.0, etas=(0.0, -3.0))
    report = evaluate(ColourModel(), BoxData(), "realtime", config)
    assert report == evaluate(ColourModel(), BoxData(), "realtime", config)
    assert report.timing is not None
    assert report.timing.simulated
    assert (report.timing.frames, report.timing.frames_processed) == (24, 12)
    assert (report.timing.model_ms, report.timing.prompt_to_mask_ms) == (250, None)
    # The still red box: nothing is out before 250 ms, then all is right.
    assert report.clips[0].streaming[0].j == pytest.approx(3 / 6, abs=0.02)
    assert report.clips[0].streaming[1].j > 0.95
    assert report.clips[0].frames_processed == 3


def test_measured_report_has_times() -> None:
    """Real ones; only that they are there can be told."""
    data = BoxData()
    report = evaluate(ColourModel(), data, "realtime", EvaluationConfig(session=SessionConfig(window=2), limit=1))
    assert report.timing is not None
    assert not report.timing.simulated
    assert report.timing.model_ms > 0
    assert report.timing.prompt_to_mask_ms is not None
    assert np.isfinite(report.overall.streaming[0].j_and_f)
