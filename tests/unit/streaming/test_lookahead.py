"""Lookahead: frame t is final when frame t + L is there, provisional until then; nothing is lost or mixed."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ssa_stream.streaming import UNCONFIRMED_ID, MaskResult, ReferSession, SessionConfig, TrackConfig
from tests.support.tiny_model import random_frames, tiny_model
from tests.unit.streaming.colour_model import ColourModel, draw
from tests.unit.streaming.comparing import assert_same_results, property_test
from tests.unit.streaming.offline_reference import assert_result, offline

RED = ("red", (0, 0, 16, 16))
SENTENCES = ["the red car", "a dog"]


def _session(**settings: Any) -> ReferSession:
    return ReferSession(ColourModel(), SessionConfig(**settings), ["red thing"])


def _finals(results: Sequence[MaskResult]) -> list[int]:
    return [result.frame_index for result in results if result.status == "final"]


def _provisionals(results: Sequence[MaskResult]) -> list[int]:
    return [result.frame_index for result in results if result.status == "provisional"]


@pytest.mark.parametrize("lookahead", [0, 1, 3])
def test_frame_is_emitted_when_the_lookahead_is_there(lookahead: int) -> None:
    """None before, then one a push; the rest with flush, once."""
    session = _session(window=4, lookahead=lookahead)
    for t in range(7):
        assert _finals(session.push(draw(RED))) == ([t - lookahead] if t >= lookahead else [])
    assert _finals(session.flush()) == list(range(7 - lookahead, 7))
    assert session.flush() == []


def test_provisional_result_comes_at_once_and_is_marked() -> None:
    """Each push gives the final result that is due, then the newest frame's provisional one."""
    session = _session(window=4, lookahead=2, emit_provisional=True)
    for t in range(5):
        results = session.push(draw(RED), t * 0.1)
        assert [(one.frame_index, one.status) for one in results] == [(t - 2, "final")] * (t >= 2) + [
            (t, "provisional")
        ]
        assert results[-1].t == pytest.approx(t * 0.1)
    assert [(one.frame_index, one.status) for one in session.flush()] == [(3, "final"), (4, "final")]


def test_without_lookahead_nothing_is_provisional() -> None:
    """A first result that is the last word is final."""
    session = _session(emit_provisional=True)
    assert [one.status for one in session.push(draw(RED))] == ["final"]


def test_provisional_tracks_have_known_ids_or_none() -> None:
    """An object is unconfirmed until a final result gives it a track, in the same push at the earliest."""
    session = _session(window=4, lookahead=1, emit_provisional=True)
    first = session.push(draw(RED))
    assert [track.track_id for track in first[0].tracks] == [UNCONFIRMED_ID]
    final, provisional = session.push(draw(RED))
    assert [track.track_id for track in final.tracks] == [1]
    assert [track.track_id for track in provisional.tracks] == [1]


def test_tracks_follow_the_queries_of_the_frame_they_are_for() -> None:
    """Not those of the newest one, whose object may look otherwise by then."""
    session = ReferSession(tiny_model(), SessionConfig(window=4, lookahead=2), SENTENCES[:1])
    for frame in random_frames(6):
        session.push(frame)
    (prompt,) = session.state().decoder.windows
    (following,) = session.state().masks.tracks
    seen = [track.last for track in following.tracks.tracks if track.absence == 0]
    assert seen
    for last in seen:
        torch.testing.assert_close(last.query, prompt.window.aligned[-3, last.slot], rtol=0, atol=0)


def test_provisional_results_change_nothing_that_follows() -> None:
    """The final results of a stream are the same with and without them."""
    frames = random_frames(9, seed=1)
    finals = []
    for emit_provisional in (False, True):
        config = SessionConfig(window=4, lookahead=2, emit_provisional=emit_provisional)
        session = ReferSession(tiny_model(), config, SENTENCES)
        results = [one for frame in frames for one in session.push(frame)] + session.flush()
        finals.append([one for one in results if one.status == "final"])
    assert_same_results(finals[1], finals[0])


@property_test(6)
@given(lookahead=st.integers(0, 4), count=st.integers(1, 5), seed=st.integers(0, 99))
def test_results_equal_offline_ones_that_see_as_far(lookahead: int, count: int, seed: int) -> None:
    """Frame t: the offline forward of frames 0..t+L; when flushed, of all; provisional: of frames 0..t."""
    frames = random_frames(count, seed=seed)
    config = SessionConfig(window=5, lookahead=lookahead, emit_provisional=True, tracks=TrackConfig(min_own_share=0.0))
    session = ReferSession(tiny_model(), config, SENTENCES)
    results = [(newest, one) for newest, frame in enumerate(frames) for one in session.push(frame)]
    results += [(count - 1, one) for one in session.flush()]
    assert len(results) == len(SENTENCES) * count * (2 if lookahead else 1)
    for newest, result in results:
        clip, size = offline(frames[: newest + 1], result.prompt)
        assert_result(result, clip, size, result.frame_index)
        ahead = newest if result.status == "provisional" else min(result.frame_index + lookahead, count - 1)
        assert newest == ahead


def test_stream_goes_on_after_flush() -> None:
    """The memory stays: tracks keep their ids, and the lookahead is waited for anew."""
    session = _session(window=4, lookahead=2)
    for _ in range(4):
        session.push(draw(RED))
    assert _finals(session.flush()) == [2, 3]
    assert [_finals(session.push(draw(RED))) for _ in range(3)] == [[], [], [4]]
    assert [track.track_id for one in session.flush() for track in one.tracks] == [1, 1]


def test_changed_prompts_apply_from_the_first_frame_still_due() -> None:
    """Frames that wait are given under the new prompts, as acknowledged; older ones were under the old."""
    session = _session(window=4, lookahead=2)
    seen = [session.push(draw(RED, ("blue", (32, 16, 48, 32)))) for _ in range(5)]
    ack = session.set_prompts({"p1": "blue thing"})
    assert ack.applies_from == 3
    seen += [session.push(draw(RED, ("blue", (32, 16, 48, 32)))) for _ in range(2)]
    results = [one for push in seen for one in push] + session.flush()
    assert [one.frame_index for one in results] == list(range(7))
    for one in results:
        is_new = one.frame_index >= ack.applies_from
        assert (one.prompt, one.prompt_version) == (("blue thing", ack.version) if is_new else ("red thing", 1))
        (track,) = one.tracks
        assert track.box_xyxy == ((32, 16, 48, 32) if is_new else (0, 0, 16, 16))


def test_new_prompt_is_replayed_for_a_flush() -> None:
    """A prompt added after the last frame still gets the frames that wait."""
    session = _session(window=4, lookahead=2)
    for _ in range(3):
        session.push(draw(RED, ("blue", (32, 16, 48, 32))))
    session.add_prompt("blue thing")
    flushed = session.flush()
    assert [(one.frame_index, one.prompt) for one in flushed] == [
        (1, "red thing"), (1, "blue thing"), (2, "red thing"), (2, "blue thing")
    ]  # fmt: skip
    assert all(one.target_present for one in flushed)


def test_gap_gives_the_waiting_frames_first() -> None:
    """They are final with what was known before the gap; the frame after it begins anew."""
    session = _session(window=4, lookahead=2, emit_provisional=True, max_gap_s=1.0)
    for t in range(3):
        session.push(draw(RED), t * 0.1)
    results = session.push(draw(), 60.0)
    assert [(one.frame_index, one.status, one.after_reset, one.target_present) for one in results] == [
        (1, "final", False, True),
        (2, "final", False, True),
        (3, "provisional", True, False),
    ]
    later = session.push(draw(), 60.1) + session.push(draw(), 60.2)
    assert [(one.frame_index, one.after_reset) for one in later if one.status == "final"] == [(3, True)]


def test_reset_drops_the_waiting_frames() -> None:
    """As documented: flush first to have them."""
    session = _session(window=4, lookahead=2)
    for _ in range(4):
        session.push(draw(RED))
    session.reset()
    assert session.flush() == []
    assert [_finals(session.push(draw(RED))) for _ in range(3)] == [[], [], [4]]


_actions = st.lists(
    st.sampled_from(["push", "push", "push", "push", "flush", "set", "add", "remove", "gap", "save"]), max_size=30
)


@property_test(60)
@given(window=st.integers(1, 4), data=st.data(), actions=_actions)
def test_every_frame_is_final_once_and_in_order(window: int, data: st.DataObject, actions: list[str]) -> None:
    """Whatever is done in between; each under the prompts in force for it, as acknowledged."""
    lookahead = data.draw(st.integers(0, window - 1))
    config = SessionConfig(window=window, lookahead=lookahead, emit_provisional=data.draw(st.booleans()), max_gap_s=1)
    session = ReferSession(ColourModel(), config, ["red thing", "blue thing"])
    in_force = {0: session.prompts}  # by first frame
    results: list[MaskResult] = []
    t = 0.0
    for action in [*actions, "flush"]:
        texts = [one.text for one in session.prompts]
        if action in ("push", "gap"):
            t += 5.0 if action == "gap" else 0.1
            results += session.push(draw(RED), t)
        elif action == "flush":
            results += session.flush()
        elif action == "save":
            session.restore(session.state())
        elif action == "remove" and not texts:
            continue
        else:
            if action == "set":
                ack = session.set_prompts(["green thing", *texts[1:]])
            elif action == "add":
                new = f"yellow thing {session.state().book.version}"
                ack = session.add_prompt(new) if len(texts) < 4 else session.set_prompts(texts)
            else:
                ack = session.remove_prompt(session.prompts[0].prompt_id)
            in_force[ack.applies_from] = ack.prompts
    expected = []
    for index in range(session.next_index):
        prompts = in_force[max(first for first in in_force if first <= index)]
        expected += [(index, prompt.prompt_id, prompt.text, prompt.version) for prompt in prompts]
    finals = [one for one in results if one.status == "final"]
    assert [(one.frame_index, one.prompt_id, one.prompt, one.prompt_version) for one in finals] == expected
    assert all(np.diff(_provisionals(results)) >= 0)
    for one in results:
        assert one.merged().any() == ("red" in one.prompt)
