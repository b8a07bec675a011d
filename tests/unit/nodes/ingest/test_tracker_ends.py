"""The books of a stream: recovery, ends, where prompts apply from, where to go on."""

import pytest

from ssa_stream.nodes.ingest.dispatcher import OutgoingEnd
from ssa_stream.nodes.ingest.in_flight import Position
from ssa_stream.protocols import DropReason
from tests.support.ingest import picture, start_stream
from tests.support.trackers import NOW_NS, admit, frames_of, numbers_of, replays_of, send_all, tracker_of

# -- recovery


def test_every_frame_sends_unfinished_frames_again_as_they_were() -> None:
    """With the prompts that they had, all of them replayed on the first one."""
    tracker = tracker_of("a", capacity=4)
    admit(tracker, *(picture(seq) for seq in range(3)))
    send_all(tracker)
    tracker.finish(Position(0, 0))
    tracker.set_book(tracker.book.add("b", max_prompts=8))
    admit(tracker, picture(3))
    send_all(tracker)
    assert tracker.recover() == 0
    again = frames_of(send_all(tracker))
    assert numbers_of([*again]) == [(1, 0, 1, 0), (1, 1, 2, 0), (1, 2, 3, 0)]
    assert replays_of([*again]) == [[2], [1], [1, 4]]
    assert [item.work.prompts_version for item in again] == [1, 1, 2]
    assert {item.work.memory for item in again} == {0}


def test_freshest_loses_what_was_on_its_way_and_keeps_what_was_not() -> None:
    """History holds the lost ones: they were seen."""
    tracker = tracker_of("a", freshest=True)
    admit(tracker, picture(0), picture(1))
    send_all(tracker)
    admit(tracker, picture(2))
    assert tracker.recover() == 2
    sent = frames_of(send_all(tracker))
    assert numbers_of([*sent]) == [(1, 0, 2, 0)]
    assert replays_of([*sent]) == [[3]]
    assert tracker.frames_done == 2


def test_recovery_without_unfinished_frames_replays_on_the_next_one() -> None:
    """The node that was lost may be the decoder."""
    tracker = tracker_of("a")
    admit(tracker, picture(0))
    send_all(tracker)
    tracker.finish(Position(0, 0))
    tracker.recover()
    admit(tracker, picture(1))
    sent = send_all(tracker)
    assert (numbers_of(sent), replays_of(sent)) == ([(1, 0, 1, 0)], [[2]])


def test_late_finish_makes_a_hole_that_the_first_frame_tells() -> None:
    """Finished frames are not sent again."""
    tracker = tracker_of("a")
    admit(tracker, picture(0), picture(1), picture(2))
    send_all(tracker)
    tracker.recover()
    tracker.finish(Position(0, 1))
    sent = send_all(tracker)
    assert (numbers_of(sent), replays_of(sent)) == ([(1, 2, 2, 2)], [[3]])


def test_second_recovery_before_sending_again_numbers_once_more() -> None:
    """Two nodes may fall at once."""
    tracker = tracker_of("a")
    admit(tracker, picture(0), picture(1))
    send_all(tracker)
    tracker.recover()
    tracker.recover()
    assert numbers_of(send_all(tracker)) == [(2, 0, 0, 0), (2, 1, 1, 0)]


def test_frame_sent_while_recovery_came_is_sent_again() -> None:
    """It left in the old epoch."""
    tracker = tracker_of("a")
    admit(tracker, picture(0))
    outgoing = tracker.take_next(NOW_NS)
    assert outgoing is not None
    tracker.recover()
    tracker.was_sent(outgoing)
    sent = send_all(tracker)
    assert (numbers_of(sent), replays_of(sent)) == ([(1, 0, 0, 0)], [[1]])


def test_finish_of_a_number_never_given_is_ignored() -> None:
    """A number ahead of the stream would empty the window."""
    tracker = tracker_of("a")
    admit(tracker, picture(0))
    send_all(tracker)
    assert tracker.finish(Position(0, 1)) == tracker.finish(Position(9, 0)) == 0
    assert tracker.unfinished == 1


# -- ends


def test_end_with_lookahead_is_told_by_a_notice_that_takes_a_number_and_no_index() -> None:
    """It is finished as a frame is."""
    tracker = tracker_of("a", lookahead=1)
    admit(tracker, picture(0), picture(1))
    tracker.end()
    notice = send_all(tracker)[-1]
    assert isinstance(notice, OutgoingEnd)
    said = notice.notice
    assert (said.reason, said.frame.seq, said.frame.index, said.frames_missed) == (DropReason.ENDED, 2, 2, 0)
    assert tracker.finish(Position(0, 2)) == 2
    assert tracker.unfinished == 0
    assert tracker.next_index == 2


def test_end_without_lookahead_needs_no_notice() -> None:
    """Nobody waits."""
    tracker = tracker_of("a")
    admit(tracker, picture(0))
    tracker.end()
    assert len(send_all(tracker)) == 1


def test_end_is_told_once() -> None:
    """And not before there was a frame."""
    tracker = tracker_of("a", lookahead=1)
    tracker.end()
    admit(tracker, picture(0))
    tracker.end()
    tracker.end()
    assert len(send_all(tracker)) == 2


@pytest.mark.parametrize("freshest", [False, True])
def test_end_is_told_again_after_recovery(freshest: bool) -> None:
    """Else what waits would wait for ever."""
    tracker = tracker_of("a", lookahead=1, freshest=freshest)
    admit(tracker, picture(0))
    tracker.end()
    send_all(tracker)
    tracker.recover()
    again = send_all(tracker)
    assert isinstance(again[-1], OutgoingEnd)
    assert len(again) == 2 - freshest


# -- where prompts apply


def test_without_lookahead_from_the_next_frame() -> None:
    """All frames before it have left with the prompts of their time."""
    tracker = tracker_of("a")
    admit(tracker, picture(0), picture(1))
    first = tracker.oldest_open()
    assert (first.epoch, first.seq, first.index) == (0, 2, 2)


def test_with_lookahead_from_the_oldest_frame_that_waits_for_the_next() -> None:
    """Results are made when the next one comes, under its prompts."""
    tracker = tracker_of("a", lookahead=2, capacity=9)
    admit(tracker, *(picture(seq) for seq in range(5)))
    first = tracker.oldest_open()
    assert (first.epoch, first.seq, first.index) == (0, 3, 3)


def test_with_lookahead_before_as_many_frames_from_the_first() -> None:
    """There are no earlier ones."""
    tracker = tracker_of("a", lookahead=2, capacity=9)
    admit(tracker, picture(0))
    assert tracker.oldest_open().index == 0


def test_with_lookahead_frames_before_a_gap_or_an_end_do_not_wait() -> None:
    """They come out under the prompts that they have."""
    tracker = tracker_of("a", lookahead=2, capacity=9)
    admit(tracker, picture(0), picture(1), picture(2, t=9.0))
    assert tracker.oldest_open().index == 2
    tracker.end()
    assert tracker.oldest_open().index == 3


def test_with_lookahead_frames_sent_again_are_named_in_the_new_epoch() -> None:
    """As they will be called."""
    tracker = tracker_of("a", lookahead=2, capacity=9)
    admit(tracker, *(picture(seq) for seq in range(4)))
    send_all(tracker)
    tracker.finish(Position(0, 0))
    tracker.recover()
    first = tracker.oldest_open()
    assert (first.epoch, first.seq, first.index) == (1, 1, 2)


def test_frames_say_where_their_prompts_apply_from() -> None:
    """Each for its own version."""
    tracker = tracker_of("a")
    admit(tracker, picture(0))
    tracker.set_book(tracker.book.add("b", max_prompts=8))
    admit(tracker, picture(1), picture(2))
    assert [item.work.applies_from.index for item in frames_of(send_all(tracker))] == [0, 1, 1]


# -- going on


def test_every_frame_goes_on_at_the_oldest_unfinished_frame() -> None:
    """A restarted node sends it first."""
    tracker = tracker_of("a")
    admit(tracker, *(picture(seq) for seq in range(3)))
    send_all(tracker)
    tracker.finish(Position(0, 0))
    assert (tracker.resume_index, tracker.frames_done, tracker.next_index) == (1, 1, 3)


def test_freshest_goes_on_at_the_next_frame() -> None:
    """What is under way would be lost."""
    tracker = tracker_of("a", freshest=True)
    admit(tracker, picture(0), picture(3))
    assert tracker.resume_index == 2


def test_skipped_frames_are_history() -> None:
    """So that a restarted decoder gets its window."""
    tracker = tracker_of(start=start_stream("a", epoch=1, next_index=5, frames_done=5))
    tracker.skip([picture(2), picture(3), picture(4)])
    assert not tracker.meet(picture(5))
    assert tracker.admit(picture(5)) == 0
    sent = frames_of(send_all(tracker))
    assert numbers_of([*sent]) == [(1, 0, 5, 0)]
    assert [int(image[0, 0, 0]) for image in sent[0].history] == [2, 3, 4]
    tracker.finish(Position(1, 0))
    assert tracker.frames_done == 6


def test_skipped_frames_before_a_break_are_no_history() -> None:
    """Neither before a gap."""
    tracker = tracker_of("a")
    tracker.skip([picture(0), picture(1, t=9.0), picture(0, t=0.0, epoch=1)])
    admit(tracker, picture(1, t=0.1, epoch=1))
    assert len(frames_of(send_all(tracker))[0].history) == 1


def test_recording_played_again_is_counted_from_its_beginning() -> None:
    """Late ends of its last run do not count."""
    tracker = tracker_of("a")
    admit(tracker, picture(0), picture(1))
    send_all(tracker)
    tracker.begin_anew(opened_again=True, from_first_frame=True)
    tracker.finish(Position(0, 1))
    assert tracker.frames_done == 0
    admit(tracker, picture(0))
    send_all(tracker)
    tracker.finish(Position(1, 0))
    assert (tracker.frames_done, tracker.resume_index) == (1, 3)
