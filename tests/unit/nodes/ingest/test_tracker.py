"""The books of a stream: numbers, memory, history, replays."""

from dataclasses import replace

import pytest

from ssa_stream.errors import SourceError
from ssa_stream.nodes.ingest.dispatcher import OutgoingEnd, OutgoingFrame
from ssa_stream.nodes.ingest.picture import Picture
from tests.support.ingest import RULES, picture, start_stream
from tests.support.trackers import NOW_NS, admit, frames_of, numbers_of, replays_of, send_all, tracker_of

# -- numbers


def test_frames_in_a_row_have_no_holes() -> None:
    """Neither in numbers nor in indices."""
    tracker = tracker_of()
    admit(tracker, picture(0), picture(1), picture(2))
    assert numbers_of(send_all(tracker)) == [(0, 0, 0, 0), (0, 1, 1, 0), (0, 2, 2, 0)]


def test_overtaken_frames_leave_holes_in_numbers_and_none_in_indices() -> None:
    """And they count as frames of the source."""
    tracker = tracker_of()
    assert tracker.admit(picture(0)) == 0
    assert tracker.admit(picture(4)) == 3
    assert numbers_of(send_all(tracker)) == [(0, 0, 0, 0), (0, 4, 1, 3)]
    assert tracker.source_count == 5


def test_frames_overtaken_before_the_first_one_are_counted_and_leave_no_hole() -> None:
    """Nobody could wait for them."""
    tracker = tracker_of()
    assert tracker.admit(picture(2)) == 2
    assert numbers_of(send_all(tracker)) == [(0, 0, 0, 0)]


def test_stream_goes_on_where_control_says() -> None:
    """Epoch, index and memory."""
    tracker = tracker_of(start=start_stream("a", epoch=3, next_index=41, memory=2))
    admit(tracker, picture(0))
    sent = frames_of(send_all(tracker))
    assert numbers_of([*sent]) == [(3, 0, 41, 0)]
    assert sent[0].work.memory == 2


def test_frame_that_nobody_took_is_a_hole_for_the_next_one() -> None:
    """Its index is not given again."""
    tracker = tracker_of(freshest=True)
    admit(tracker, picture(0))
    send_all(tracker)
    admit(tracker, picture(1))
    lost = tracker.take_next(NOW_NS)
    assert lost is not None
    assert tracker.was_not_sent(lost)
    admit(tracker, picture(2))
    assert numbers_of(send_all(tracker)) == [(0, 2, 2, 1)]


def test_frame_that_nobody_took_is_tried_again_where_none_may_be_lost() -> None:
    """Under the same number."""
    tracker = tracker_of()
    admit(tracker, picture(0))
    refused = tracker.take_next(NOW_NS)
    assert refused is not None
    assert not tracker.was_not_sent(refused)
    assert numbers_of(send_all(tracker)) == [(0, 0, 0, 0)]


def test_identity_says_times_of_the_source() -> None:
    """A clock is named only with a time."""
    tracker = tracker_of()
    admit(tracker, picture(0, t=1.25))
    frame = frames_of(send_all(tracker))[0].work.frame
    assert (frame.t, frame.receive_clock, frame.capture_clock) == (1.25, RULES.clock, None)


@pytest.mark.parametrize(
    ("times", "said"),
    [({"t_capture_ns": 5, "t_camera_ns": 6}, (5, RULES.clock)), ({"t_camera_ns": 6}, (6, "camera:cam0"))],
    ids=["host", "camera"],
)
def test_identity_names_the_clock_of_capture(times: dict[str, int], said: tuple[int, str]) -> None:
    """The host's where its time is known, else the camera's own."""
    tracker = tracker_of()
    came = picture(0)
    admit(tracker, replace(came, frame=replace(came.frame, **times)))  # type: ignore[arg-type]
    frame = frames_of(send_all(tracker))[0].work.frame
    assert (frame.t_capture_ns, frame.capture_clock) == said


@pytest.mark.parametrize("freshest", [False, True])
def test_identity_says_whether_the_newest_frame_counts_more(freshest: bool) -> None:
    """As it was when the frame came; likewise of the notice that none follows."""
    tracker = tracker_of(freshest=freshest, lookahead=1)
    admit(tracker, picture(0))
    tracker.end()
    tracker.every_frame = True  # another source was opened
    frame, end = send_all(tracker)
    assert isinstance(frame, OutgoingFrame)
    assert isinstance(end, OutgoingEnd)
    assert (frame.work.frame.live, end.notice.frame.live) == (freshest, freshest)


# -- beginnings anew


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(picture(0, t=0.0, epoch=1), id="epoch_and_time_of_source"),
        pytest.param(picture(1, size=(4, 2)), id="size"),
        pytest.param(picture(1, t=0.0), id="time_goes_back"),
        pytest.param(picture(1, t=0.1), id="time_stands_still"),
    ],
)
def test_break_begins_epoch_and_memory_without_history(other: Picture) -> None:
    """What was seen before says nothing about this frame."""
    tracker = tracker_of("a")
    admit(tracker, picture(0, t=0.1))
    assert tracker.meet(other)
    tracker.admit(other)
    sent = frames_of(send_all(tracker))
    assert [(item.work.frame.epoch, item.work.memory) for item in sent] == [(0, 0), (1, 1)]
    assert numbers_of([*sent])[1][1:] == (0, 1, 0)
    assert sent[1].history == ()


def test_source_that_goes_on_in_time_begins_an_epoch_and_keeps_the_memory() -> None:
    """It was lost for a while; all prompts are replayed in case that a node does not know them."""
    tracker = tracker_of("a")
    admit(tracker, picture(0), picture(1))
    other = picture(0, t=0.5, epoch=1)
    assert not tracker.is_break(other)
    assert tracker.meet(other)
    tracker.admit(other)
    sent = send_all(tracker)
    assert (numbers_of(sent)[-1], replays_of(sent)[-1]) == ((1, 0, 2, 0), [3])
    assert {item.work.memory for item in frames_of(sent)} == {0}


def test_first_frame_is_no_break() -> None:
    """Whatever its epoch and time are."""
    assert not tracker_of().meet(picture(5, t=9.0, epoch=3))


def test_gap_clears_history_and_keeps_epoch_and_memory() -> None:
    """The decoder judges the gap by itself."""
    tracker = tracker_of("a", capacity=9)
    admit(tracker, picture(0, t=0.0), picture(1, t=0.1))
    assert not tracker.meet(picture(2, t=2.2))
    tracker.set_book(tracker.book.add("b", max_prompts=8))
    tracker.admit(picture(2, t=2.2))
    sent = frames_of(send_all(tracker))
    assert (sent[2].work.frame.epoch, sent[2].work.memory, sent[2].history) == (0, 0, ())
    assert not tracker.meet(picture(3, t=2.3))
    tracker.set_book(tracker.book.add("c", max_prompts=8))
    tracker.admit(picture(3, t=2.3))
    assert replays_of(send_all(tracker)) == [[1, 1, 2]]


def test_pause_of_exactly_the_limit_is_no_gap() -> None:
    """As a session has it."""
    tracker = tracker_of("a")
    admit(tracker, picture(0, t=0.0), picture(1, t=2.0))
    send_all(tracker)
    tracker.set_book(tracker.book.add("b", max_prompts=8))
    admit(tracker, picture(2, t=4.0))
    assert replays_of(send_all(tracker)) == [[1, 3]]


def test_opened_again_begins_anew_once() -> None:
    """The source's own numbers begin anew as well."""
    tracker = tracker_of("a")
    assert tracker.is_fresh
    admit(tracker, picture(0), picture(1))
    tracker.begin_anew(opened_again=True)
    assert tracker.is_fresh
    admit(tracker, picture(0))
    assert numbers_of(send_all(tracker))[-1] == (1, 0, 2, 0)


@pytest.mark.parametrize("t", [float("nan"), float("inf")])
def test_frame_without_a_time_is_refused(t: float) -> None:
    """No message could hold it."""
    with pytest.raises(SourceError, match="finite seconds"):
        tracker_of().meet(picture(0, t=t))


# -- replays


def test_prompt_asks_for_all_recent_frames_once_an_epoch() -> None:
    """Frames after the first one need no history."""
    tracker = tracker_of("a", capacity=9)
    admit(tracker, picture(0), picture(1))
    send_all(tracker)
    tracker.set_book(tracker.book.add("b", max_prompts=8))
    admit(tracker, picture(2), picture(3))
    sent = frames_of(send_all(tracker))
    assert replays_of([*sent]) == [[1, 3], [1, 1]]
    assert [int(image[0, 0, 0]) for image in sent[0].history] == [0, 1]
    assert sent[1].history == ()


def test_history_is_one_shorter_than_the_window() -> None:
    """The frame itself is the newest of the window."""
    tracker = tracker_of(capacity=9, window=3)
    admit(tracker, *(picture(seq) for seq in range(6)))
    send_all(tracker)
    tracker.set_book(tracker.book.add("b", max_prompts=8))
    admit(tracker, picture(6))
    assert [int(image[0, 0, 0]) for image in frames_of(send_all(tracker))[0].history] == [4, 5]


def test_window_of_one_has_no_history() -> None:
    """There is nothing to replay."""
    tracker = tracker_of(window=1)
    admit(tracker, picture(0))
    send_all(tracker)
    tracker.set_book(tracker.book.add("b", max_prompts=8))
    admit(tracker, picture(1))
    assert replays_of(send_all(tracker)) == [[1]]


def test_changed_sentence_is_replayed_and_the_other_prompt_is_not() -> None:
    """Though its id is the same."""
    tracker = tracker_of("a", "b")
    admit(tracker, picture(0))
    send_all(tracker)
    tracker.set_book(tracker.book.set({"p1": "a", "p2": "c"}, max_prompts=8))
    admit(tracker, picture(1))
    assert replays_of(send_all(tracker)) == [[1, 2]]


def test_replay_that_nobody_took_comes_with_the_next_frame() -> None:
    """Nothing downstream knows the prompt."""
    tracker = tracker_of(freshest=True)
    admit(tracker, picture(0))
    send_all(tracker)
    tracker.set_book(tracker.book.add("b", max_prompts=8))
    admit(tracker, picture(1))
    lost = tracker.take_next(NOW_NS)
    assert lost is not None
    tracker.was_not_sent(lost)
    admit(tracker, picture(2))
    assert replays_of(send_all(tracker)) == [[3]]
