"""Times: missed frames are counted, long gaps clear the memory, impossible times change nothing."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssa_stream.errors import SessionStateError
from ssa_stream.streaming import MaskResult, ReferSession, SessionConfig
from tests.unit.streaming.colour_model import ColourModel, draw
from tests.unit.streaming.comparing import property_test, saved

RED = ("red", (0, 0, 16, 16))


def _session(**settings: Any) -> ReferSession:
    return ReferSession(ColourModel(), SessionConfig(**settings), ["red thing"])


def _push(session: ReferSession, t: float | None) -> MaskResult:
    (result,) = session.push(draw(RED), t)
    return result


@pytest.mark.parametrize(("step_s", "missed"), [(0.1, 0), (0.14, 0), (0.2, 1), (0.31, 2), (1.0, 9)])
def test_missed_frames_are_counted_against_the_given_interval(step_s: float, missed: int) -> None:
    """The gap is told in the result of the frame after it, and only there."""
    session = _session(frame_interval_s=0.1)
    assert _push(session, 10.0).frames_missed == 0
    result = _push(session, 10.0 + step_s)
    assert (result.frames_missed, result.after_reset) == (missed, False)
    assert _push(session, 10.0 + step_s + 0.1).frames_missed == 0


def test_interval_is_learned_from_the_stream() -> None:
    """Until it is known nothing is claimed; a single gap does not unsettle it."""
    session = _session()
    times = [0.0, 0.04, 0.08, 0.12, 0.16, 0.36, 0.40]
    assert [_push(session, t).frames_missed for t in times] == [0, 0, 0, 0, 0, 4, 0]
    slow = _session()
    assert [_push(slow, t).frames_missed for t in (0.0, 1.0, 2.0)] == [0, 0, 0]


def test_missing_time_is_one_interval_later() -> None:
    """From 0 on; at the learned rate after times that were given."""
    session = _session()
    assert _push(session, None).t == 0.0
    assert _push(session, None).t == pytest.approx(1 / 30)
    learned = _session()
    for t in (5.0, 5.1, 5.2):
        _push(learned, t)
    assert _push(learned, None).t == pytest.approx(5.3)


@pytest.mark.parametrize(("gap_s", "is_reset"), [(1.9, False), (2.1, True), (1e9, True)])
def test_long_gap_clears_the_memory_and_says_so(gap_s: float, is_reset: bool) -> None:
    """The window begins anew, tracks end, and no id is given again; numbers and prompts go on."""
    session = _session(max_gap_s=2.0, frame_interval_s=0.1)
    for t in range(4):
        before = _push(session, t / 10)
    after = _push(session, 0.3 + gap_s)
    assert after.after_reset is is_reset
    assert after.frame_index == 4
    assert after.frames_missed == min(round(gap_s / 0.1), 2**31 - 1) - 1
    assert before.tracks[0].track_id == 1
    assert after.tracks[0].track_id == (2 if is_reset else 1)
    window = session.state().decoder.windows[0].window
    assert len(window.aligned) == (1 if is_reset else 5)
    assert not _push(session, 0.4 + gap_s).after_reset


def test_result_after_a_gap_is_a_new_streams() -> None:
    """Nothing of what was before the gap has an influence."""
    session, fresh = _session(max_gap_s=1.0), _session()
    for t in range(4):
        session.push(draw(("red", (32, 16, 64, 32))), t / 10)
    for t in range(3):
        (one,), (other,) = session.push(draw(RED), 100 + t / 10), fresh.push(draw(RED), 100 + t / 10)
        np.testing.assert_array_equal(one.merged(), other.merged())
        assert one.probability == other.probability
    ours, theirs = session.state().decoder.windows[0].window, fresh.state().decoder.windows[0].window
    assert len(ours.aligned) == len(theirs.aligned) == 3
    assert ours.carried.log_weight.isneginf().all()


@pytest.mark.parametrize("t", [0.5, 0.4999, -1.0, math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("lookahead", [0, 2])
def test_impossible_time_raises_and_changes_nothing(t: float, lookahead: int) -> None:
    """Equal, earlier or no number: the state is the very same, and the stream goes on."""
    session = _session(lookahead=lookahead)
    for k in range(4):
        session.push(draw(RED), 0.2 + k / 10)
    before = session.state()
    with pytest.raises(SessionStateError, match=r"frame time is .* last frame's was 0\.5 s.*reset"):
        session.push(draw(RED), t)
    assert session.state() is before
    assert [one.frame_index for one in session.push(draw(RED), 0.6)] == [4 - lookahead]


@pytest.mark.parametrize(
    ("times", "resets"),
    [
        ([0, 3, 6, 9], []),  # slower than a frame every two seconds
        ([0, 3600, 7200, 10800], [1]),  # nothing is known of the rate at the first pause
        ([0, 0.1, 0.2, 2.1, 2.2], []),
        ([0, 0.1, 0.2, 2.3, 2.4, 5.0], [3, 5]),  # the pause is not taken for the rate
        ([0, 3, 6, 17.9, 21, 34], [5]),  # four frames may be missing
    ],
    ids=["slow", "hourly", "fast", "pauses", "holes"],
)
def test_longest_gap_follows_the_rate(times: list[float], resets: list[int]) -> None:
    """Unless it is set."""
    session, strict = _session(), _session(max_gap_s=0.5)
    assert [i for i, t in enumerate(times) if _push(session, t).after_reset] == resets
    expected = [i for i in range(1, len(times)) if times[i] - times[i - 1] > 0.5]
    assert [i for i, t in enumerate(times) if _push(strict, t).after_reset] == expected


@pytest.mark.parametrize("t", [math.nan, math.inf, -math.inf])
def test_first_time_has_to_be_a_number_too(t: float) -> None:
    """Also when there is nothing yet to compare it with."""
    session = _session()
    with pytest.raises(SessionStateError):
        session.push(draw(RED), t)
    assert session.next_index == 0


def test_reset_lets_time_begin_anew() -> None:
    """Earlier times are accepted, the first frame tells of the reset, numbers go on, ids are not given again."""
    session = _session()
    for t in (100.0, 100.1):
        _push(session, t)
    session.reset()
    session.reset()
    result = _push(session, 3.0)
    assert (result.frame_index, result.after_reset, result.frames_missed) == (2, True, 0)
    assert result.tracks[0].track_id == 2
    assert not _push(session, 3.1).after_reset


def test_reset_before_the_first_frame_is_nothing() -> None:
    """There was no memory to clear."""
    session = _session()
    session.reset()
    assert not _push(session, 1.0).after_reset


@pytest.mark.parametrize("kind", [np.float32, np.float64, int, np.int64])
def test_numbers_of_any_kind_are_times(kind: Any) -> None:
    """Whatever the source counts with: results hold plain floats, and the state can be saved."""
    session = _session(lookahead=1)
    session.push(draw(RED), kind(1))
    (result,) = session.push(draw(RED), kind(2))
    assert type(result.t) is float
    assert saved(session)


@property_test(60)
@given(
    times=st.lists(st.one_of(st.none(), st.floats(), st.floats(0, 10)), max_size=12),
    max_gap_s=st.sampled_from([0.5, 2.0, math.inf]),
    interval_s=st.sampled_from([None, 0.1]),
)
def test_any_times_are_taken_or_refused(times: list[float | None], max_gap_s: float, interval_s: float | None) -> None:
    """No other error, no frame skipped, times rise, and the state can be saved at every moment."""
    session = _session(max_gap_s=max_gap_s, frame_interval_s=interval_s, window=2, lookahead=1)
    taken: list[MaskResult] = []
    accepted = 0
    for t in times:
        before = session.state()
        try:
            taken += session.push(draw(RED), t)
            accepted += 1
        except SessionStateError:
            assert session.state() is before
        again = ReferSession(ColourModel(), session.config)
        again.restore(session.state().from_bytes(saved(session)))
        assert saved(again) == saved(session)
    taken += session.flush()
    assert [one.frame_index for one in taken] == list(range(accepted))
    assert all(one.frames_missed >= 0 for one in taken)
    assert all(a.t < b.t for a, b in pairwise(taken))
