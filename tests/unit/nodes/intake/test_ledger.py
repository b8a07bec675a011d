"""The books of a stream: numbers, memory, history, replays, ends, where prompts apply from, where to go on."""

from dataclasses import replace

import pytest

from ssa_stream.errors import SourceError
from ssa_stream.nodes.intake.departures import Outgoing, OutgoingEnd, OutgoingFrame
from ssa_stream.nodes.intake.ledger import FrameLedger
from ssa_stream.nodes.intake.picture import Picture
from ssa_stream.nodes.intake.window import Position
from ssa_stream.protocols import DropReason, StartStream
from tests.support.intake import RULES, picture, start_stream

NOW_NS = 7


def _ledger_of(*texts: str, start: StartStream | None = None, freshest: bool = False, **rules: float) -> FrameLedger:
    ledger = FrameLedger(replace(RULES, **rules), start or start_stream(*texts))  # type: ignore[arg-type]
    ledger.every_frame = not freshest
    return ledger


def _admit(ledger: FrameLedger, *pictures: Picture) -> None:
    for item in pictures:
        ledger.meet(item)
        ledger.admit(item)


def _send_all(ledger: FrameLedger) -> list[Outgoing]:
    sent = []
    while (outgoing := ledger.take_next(NOW_NS)) is not None:
        ledger.was_sent(outgoing)
        sent.append(outgoing)
    return sent


def _frames(sent: list[Outgoing]) -> list[OutgoingFrame]:
    return [outgoing for outgoing in sent if isinstance(outgoing, OutgoingFrame)]


def _numbers(sent: list[Outgoing]) -> list[tuple[int, int, int, int]]:
    """Epoch, number, index and missed of each frame."""
    return [
        (item.work.frame.epoch, item.work.frame.seq, item.work.frame.index, item.work.frames_missed)
        for item in _frames(sent)
    ]


def _replays(sent: list[Outgoing]) -> list[list[int]]:
    return [[prompt.frames for prompt in item.work.prompts] for item in _frames(sent)]


# -- numbers


def test_frames_in_a_row_have_no_holes() -> None:
    """Neither in numbers nor in indices."""
    ledger = _ledger_of()
    _admit(ledger, picture(0), picture(1), picture(2))
    assert _numbers(_send_all(ledger)) == [(0, 0, 0, 0), (0, 1, 1, 0), (0, 2, 2, 0)]


def test_overtaken_frames_leave_holes_in_numbers_and_none_in_indices() -> None:
    """And they count as frames of the source."""
    ledger = _ledger_of()
    assert ledger.admit(picture(0)) == 0
    assert ledger.admit(picture(4)) == 3
    assert _numbers(_send_all(ledger)) == [(0, 0, 0, 0), (0, 4, 1, 3)]
    assert ledger.source_count == 5


def test_frames_overtaken_before_the_first_one_are_counted_and_leave_no_hole() -> None:
    """Nobody could wait for them."""
    ledger = _ledger_of()
    assert ledger.admit(picture(2)) == 2
    assert _numbers(_send_all(ledger)) == [(0, 0, 0, 0)]


def test_stream_goes_on_where_control_says() -> None:
    """Epoch, index and memory."""
    ledger = _ledger_of(start=start_stream("a", epoch=3, next_index=41, memory=2))
    _admit(ledger, picture(0))
    sent = _frames(_send_all(ledger))
    assert _numbers([*sent]) == [(3, 0, 41, 0)]
    assert sent[0].work.memory == 2


def test_frame_that_nobody_took_is_a_hole_for_the_next_one() -> None:
    """Its index is not given again."""
    ledger = _ledger_of(freshest=True)
    _admit(ledger, picture(0))
    _send_all(ledger)
    _admit(ledger, picture(1))
    lost = ledger.take_next(NOW_NS)
    assert lost is not None
    assert ledger.was_not_sent(lost)
    _admit(ledger, picture(2))
    assert _numbers(_send_all(ledger)) == [(0, 2, 2, 1)]


def test_frame_that_nobody_took_is_tried_again_where_none_may_be_lost() -> None:
    """Under the same number."""
    ledger = _ledger_of()
    _admit(ledger, picture(0))
    refused = ledger.take_next(NOW_NS)
    assert refused is not None
    assert not ledger.was_not_sent(refused)
    assert _numbers(_send_all(ledger)) == [(0, 0, 0, 0)]


def test_identity_says_times_of_the_source() -> None:
    """A clock is named only with a time."""
    ledger = _ledger_of()
    _admit(ledger, picture(0, t=1.25))
    frame = _frames(_send_all(ledger))[0].work.frame
    assert (frame.t, frame.receive_clock, frame.capture_clock) == (1.25, RULES.clock, None)


@pytest.mark.parametrize(
    ("times", "said"),
    [({"t_capture_ns": 5, "t_camera_ns": 6}, (5, RULES.clock)), ({"t_camera_ns": 6}, (6, "camera:cam0"))],
    ids=["host", "camera"],
)
def test_identity_names_the_clock_of_capture(times: dict[str, int], said: tuple[int, str]) -> None:
    """The host's where its time is known, else the camera's own."""
    ledger = _ledger_of()
    came = picture(0)
    _admit(ledger, replace(came, frame=replace(came.frame, **times)))  # type: ignore[arg-type]
    frame = _frames(_send_all(ledger))[0].work.frame
    assert (frame.t_capture_ns, frame.capture_clock) == said


@pytest.mark.parametrize("freshest", [False, True])
def test_identity_says_whether_the_newest_frame_counts_more(freshest: bool) -> None:
    """As it was when the frame came; likewise of the notice that none follows."""
    ledger = _ledger_of(freshest=freshest, lookahead=1)
    _admit(ledger, picture(0))
    ledger.end()
    ledger.every_frame = True  # another source was opened
    frame, end = _send_all(ledger)
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
    ledger = _ledger_of("a")
    _admit(ledger, picture(0, t=0.1))
    assert ledger.meet(other)
    ledger.admit(other)
    sent = _frames(_send_all(ledger))
    assert [(item.work.frame.epoch, item.work.memory) for item in sent] == [(0, 0), (1, 1)]
    assert _numbers([*sent])[1][1:] == (0, 1, 0)
    assert sent[1].history == ()


def test_source_that_goes_on_in_time_begins_an_epoch_and_keeps_the_memory() -> None:
    """It was lost for a while; all prompts are replayed in case that a node does not know them."""
    ledger = _ledger_of("a")
    _admit(ledger, picture(0), picture(1))
    other = picture(0, t=0.5, epoch=1)
    assert not ledger.is_break(other)
    assert ledger.meet(other)
    ledger.admit(other)
    sent = _send_all(ledger)
    assert (_numbers(sent)[-1], _replays(sent)[-1]) == ((1, 0, 2, 0), [3])
    assert {item.work.memory for item in _frames(sent)} == {0}


def test_first_frame_is_no_break() -> None:
    """Whatever its epoch and time are."""
    assert not _ledger_of().meet(picture(5, t=9.0, epoch=3))


def test_gap_clears_history_and_keeps_epoch_and_memory() -> None:
    """The decoder judges the gap by itself."""
    ledger = _ledger_of("a", capacity=9)
    _admit(ledger, picture(0, t=0.0), picture(1, t=0.1))
    assert not ledger.meet(picture(2, t=2.2))
    ledger.set_book(ledger.book.add("b", max_prompts=8))
    ledger.admit(picture(2, t=2.2))
    sent = _frames(_send_all(ledger))
    assert (sent[2].work.frame.epoch, sent[2].work.memory, sent[2].history) == (0, 0, ())
    assert not ledger.meet(picture(3, t=2.3))
    ledger.set_book(ledger.book.add("c", max_prompts=8))
    ledger.admit(picture(3, t=2.3))
    assert _replays(_send_all(ledger)) == [[1, 1, 2]]


def test_pause_of_exactly_the_limit_is_no_gap() -> None:
    """As a session has it."""
    ledger = _ledger_of("a")
    _admit(ledger, picture(0, t=0.0), picture(1, t=2.0))
    _send_all(ledger)
    ledger.set_book(ledger.book.add("b", max_prompts=8))
    _admit(ledger, picture(2, t=4.0))
    assert _replays(_send_all(ledger)) == [[1, 3]]


def test_opened_again_begins_anew_once() -> None:
    """The source's own numbers begin anew as well."""
    ledger = _ledger_of("a")
    assert ledger.is_fresh
    _admit(ledger, picture(0), picture(1))
    ledger.begin_anew(opened_again=True)
    assert ledger.is_fresh
    _admit(ledger, picture(0))
    assert _numbers(_send_all(ledger))[-1] == (1, 0, 2, 0)


@pytest.mark.parametrize("t", [float("nan"), float("inf")])
def test_frame_without_a_time_is_refused(t: float) -> None:
    """No message could hold it."""
    with pytest.raises(SourceError, match="finite seconds"):
        _ledger_of().meet(picture(0, t=t))


# -- replays


def test_prompt_asks_for_all_recent_frames_once_an_epoch() -> None:
    """Frames after the first one need no history."""
    ledger = _ledger_of("a", capacity=9)
    _admit(ledger, picture(0), picture(1))
    _send_all(ledger)
    ledger.set_book(ledger.book.add("b", max_prompts=8))
    _admit(ledger, picture(2), picture(3))
    sent = _frames(_send_all(ledger))
    assert _replays([*sent]) == [[1, 3], [1, 1]]
    assert [int(image[0, 0, 0]) for image in sent[0].history] == [0, 1]
    assert sent[1].history == ()


def test_history_is_one_shorter_than_the_window() -> None:
    """The frame itself is the newest of the window."""
    ledger = _ledger_of(capacity=9, window=3)
    _admit(ledger, *(picture(seq) for seq in range(6)))
    _send_all(ledger)
    ledger.set_book(ledger.book.add("b", max_prompts=8))
    _admit(ledger, picture(6))
    assert [int(image[0, 0, 0]) for image in _frames(_send_all(ledger))[0].history] == [4, 5]


def test_window_of_one_has_no_history() -> None:
    """There is nothing to replay."""
    ledger = _ledger_of(window=1)
    _admit(ledger, picture(0))
    _send_all(ledger)
    ledger.set_book(ledger.book.add("b", max_prompts=8))
    _admit(ledger, picture(1))
    assert _replays(_send_all(ledger)) == [[1]]


def test_changed_sentence_is_replayed_and_the_other_prompt_is_not() -> None:
    """Though its id is the same."""
    ledger = _ledger_of("a", "b")
    _admit(ledger, picture(0))
    _send_all(ledger)
    ledger.set_book(ledger.book.set({"p1": "a", "p2": "c"}, max_prompts=8))
    _admit(ledger, picture(1))
    assert _replays(_send_all(ledger)) == [[1, 2]]


def test_replay_that_nobody_took_comes_with_the_next_frame() -> None:
    """Nothing downstream knows the prompt."""
    ledger = _ledger_of(freshest=True)
    _admit(ledger, picture(0))
    _send_all(ledger)
    ledger.set_book(ledger.book.add("b", max_prompts=8))
    _admit(ledger, picture(1))
    lost = ledger.take_next(NOW_NS)
    assert lost is not None
    ledger.was_not_sent(lost)
    _admit(ledger, picture(2))
    assert _replays(_send_all(ledger)) == [[3]]


# -- recovery


def test_every_frame_sends_unfinished_frames_again_as_they_were() -> None:
    """With the prompts that they had, all of them replayed on the first one."""
    ledger = _ledger_of("a", capacity=4)
    _admit(ledger, *(picture(seq) for seq in range(3)))
    _send_all(ledger)
    ledger.finish(Position(0, 0))
    ledger.set_book(ledger.book.add("b", max_prompts=8))
    _admit(ledger, picture(3))
    _send_all(ledger)
    assert ledger.recover() == 0
    again = _frames(_send_all(ledger))
    assert _numbers([*again]) == [(1, 0, 1, 0), (1, 1, 2, 0), (1, 2, 3, 0)]
    assert _replays([*again]) == [[2], [1], [1, 4]]
    assert [item.work.prompts_version for item in again] == [1, 1, 2]
    assert {item.work.memory for item in again} == {0}


def test_freshest_loses_what_was_on_its_way_and_keeps_what_was_not() -> None:
    """History holds the lost ones: they were seen."""
    ledger = _ledger_of("a", freshest=True)
    _admit(ledger, picture(0), picture(1))
    _send_all(ledger)
    _admit(ledger, picture(2))
    assert ledger.recover() == 2
    sent = _frames(_send_all(ledger))
    assert _numbers([*sent]) == [(1, 0, 2, 0)]
    assert _replays([*sent]) == [[3]]
    assert ledger.frames_done == 2


def test_recovery_without_unfinished_frames_replays_on_the_next_one() -> None:
    """The node that was lost may be the decoder."""
    ledger = _ledger_of("a")
    _admit(ledger, picture(0))
    _send_all(ledger)
    ledger.finish(Position(0, 0))
    ledger.recover()
    _admit(ledger, picture(1))
    sent = _send_all(ledger)
    assert (_numbers(sent), _replays(sent)) == ([(1, 0, 1, 0)], [[2]])


def test_late_finish_makes_a_hole_that_the_first_frame_tells() -> None:
    """Finished frames are not sent again."""
    ledger = _ledger_of("a")
    _admit(ledger, picture(0), picture(1), picture(2))
    _send_all(ledger)
    ledger.recover()
    ledger.finish(Position(0, 1))
    sent = _send_all(ledger)
    assert (_numbers(sent), _replays(sent)) == ([(1, 2, 2, 2)], [[3]])


def test_second_recovery_before_sending_again_numbers_once_more() -> None:
    """Two nodes may fall at once."""
    ledger = _ledger_of("a")
    _admit(ledger, picture(0), picture(1))
    _send_all(ledger)
    ledger.recover()
    ledger.recover()
    assert _numbers(_send_all(ledger)) == [(2, 0, 0, 0), (2, 1, 1, 0)]


def test_frame_sent_while_recovery_came_is_sent_again() -> None:
    """It left in the old epoch."""
    ledger = _ledger_of("a")
    _admit(ledger, picture(0))
    outgoing = ledger.take_next(NOW_NS)
    assert outgoing is not None
    ledger.recover()
    ledger.was_sent(outgoing)
    sent = _send_all(ledger)
    assert (_numbers(sent), _replays(sent)) == ([(1, 0, 0, 0)], [[1]])


def test_finish_of_a_number_never_given_is_ignored() -> None:
    """A number ahead of the stream would empty the window."""
    ledger = _ledger_of("a")
    _admit(ledger, picture(0))
    _send_all(ledger)
    assert ledger.finish(Position(0, 1)) == ledger.finish(Position(9, 0)) == 0
    assert ledger.unfinished == 1


# -- ends


def test_end_with_lookahead_is_told_by_a_notice_that_takes_a_number_and_no_index() -> None:
    """It is finished as a frame is."""
    ledger = _ledger_of("a", lookahead=1)
    _admit(ledger, picture(0), picture(1))
    ledger.end()
    notice = _send_all(ledger)[-1]
    assert isinstance(notice, OutgoingEnd)
    said = notice.notice
    assert (said.reason, said.frame.seq, said.frame.index, said.frames_missed) == (DropReason.ENDED, 2, 2, 0)
    assert ledger.finish(Position(0, 2)) == 2
    assert ledger.unfinished == 0
    assert ledger.next_index == 2


def test_end_without_lookahead_needs_no_notice() -> None:
    """Nobody waits."""
    ledger = _ledger_of("a")
    _admit(ledger, picture(0))
    ledger.end()
    assert len(_send_all(ledger)) == 1


def test_end_is_told_once() -> None:
    """And not before there was a frame."""
    ledger = _ledger_of("a", lookahead=1)
    ledger.end()
    _admit(ledger, picture(0))
    ledger.end()
    ledger.end()
    assert len(_send_all(ledger)) == 2


@pytest.mark.parametrize("freshest", [False, True])
def test_end_is_told_again_after_recovery(freshest: bool) -> None:
    """Else what waits would wait for ever."""
    ledger = _ledger_of("a", lookahead=1, freshest=freshest)
    _admit(ledger, picture(0))
    ledger.end()
    _send_all(ledger)
    ledger.recover()
    again = _send_all(ledger)
    assert isinstance(again[-1], OutgoingEnd)
    assert len(again) == 2 - freshest


# -- where prompts apply


def test_without_lookahead_from_the_next_frame() -> None:
    """All frames before it have left with the prompts of their time."""
    ledger = _ledger_of("a")
    _admit(ledger, picture(0), picture(1))
    first = ledger.oldest_open()
    assert (first.epoch, first.seq, first.index) == (0, 2, 2)


def test_with_lookahead_from_the_oldest_frame_that_waits_for_the_next() -> None:
    """Results are made when the next one comes, under its prompts."""
    ledger = _ledger_of("a", lookahead=2, capacity=9)
    _admit(ledger, *(picture(seq) for seq in range(5)))
    first = ledger.oldest_open()
    assert (first.epoch, first.seq, first.index) == (0, 3, 3)


def test_with_lookahead_before_as_many_frames_from_the_first() -> None:
    """There are no earlier ones."""
    ledger = _ledger_of("a", lookahead=2, capacity=9)
    _admit(ledger, picture(0))
    assert ledger.oldest_open().index == 0


def test_with_lookahead_frames_before_a_gap_or_an_end_do_not_wait() -> None:
    """They come out under the prompts that they have."""
    ledger = _ledger_of("a", lookahead=2, capacity=9)
    _admit(ledger, picture(0), picture(1), picture(2, t=9.0))
    assert ledger.oldest_open().index == 2
    ledger.end()
    assert ledger.oldest_open().index == 3


def test_with_lookahead_frames_sent_again_are_named_in_the_new_epoch() -> None:
    """As they will be called."""
    ledger = _ledger_of("a", lookahead=2, capacity=9)
    _admit(ledger, *(picture(seq) for seq in range(4)))
    _send_all(ledger)
    ledger.finish(Position(0, 0))
    ledger.recover()
    first = ledger.oldest_open()
    assert (first.epoch, first.seq, first.index) == (1, 1, 2)


def test_frames_say_where_their_prompts_apply_from() -> None:
    """Each for its own version."""
    ledger = _ledger_of("a")
    _admit(ledger, picture(0))
    ledger.set_book(ledger.book.add("b", max_prompts=8))
    _admit(ledger, picture(1), picture(2))
    assert [item.work.applies_from.index for item in _frames(_send_all(ledger))] == [0, 1, 1]


# -- going on


def test_every_frame_goes_on_at_the_oldest_unfinished_frame() -> None:
    """A restarted node sends it first."""
    ledger = _ledger_of("a")
    _admit(ledger, *(picture(seq) for seq in range(3)))
    _send_all(ledger)
    ledger.finish(Position(0, 0))
    assert (ledger.resume_index, ledger.frames_done, ledger.next_index) == (1, 1, 3)


def test_freshest_goes_on_at_the_next_frame() -> None:
    """What is under way would be lost."""
    ledger = _ledger_of("a", freshest=True)
    _admit(ledger, picture(0), picture(3))
    assert ledger.resume_index == 2


def test_skipped_frames_are_history() -> None:
    """So that a restarted decoder gets its window."""
    ledger = _ledger_of(start=start_stream("a", epoch=1, next_index=5, frames_done=5))
    ledger.skip([picture(2), picture(3), picture(4)])
    assert not ledger.meet(picture(5))
    assert ledger.admit(picture(5)) == 0
    sent = _frames(_send_all(ledger))
    assert _numbers([*sent]) == [(1, 0, 5, 0)]
    assert [int(image[0, 0, 0]) for image in sent[0].history] == [2, 3, 4]
    ledger.finish(Position(1, 0))
    assert ledger.frames_done == 6


def test_skipped_frames_before_a_break_are_no_history() -> None:
    """Neither before a gap."""
    ledger = _ledger_of("a")
    ledger.skip([picture(0), picture(1, t=9.0), picture(0, t=0.0, epoch=1)])
    _admit(ledger, picture(1, t=0.1, epoch=1))
    assert len(_frames(_send_all(ledger))[0].history) == 1


def test_recording_played_again_is_counted_from_its_beginning() -> None:
    """Late ends of its last run do not count."""
    ledger = _ledger_of("a")
    _admit(ledger, picture(0), picture(1))
    _send_all(ledger)
    ledger.begin_anew(opened_again=True, from_first_frame=True)
    ledger.finish(Position(0, 1))
    assert ledger.frames_done == 0
    _admit(ledger, picture(0))
    _send_all(ledger)
    ledger.finish(Position(1, 0))
    assert (ledger.frames_done, ledger.resume_index) == (1, 3)
