"""The books of a stream: recovery, ends, where prompts apply from, where to go on."""

import pytest

from ssa_stream.nodes.intake.departures import OutgoingEnd
from ssa_stream.nodes.intake.window import Position
from ssa_stream.protocols import DropReason
from tests.support.intake import picture, start_stream
from tests.support.ledgers import NOW_NS, admit, frames_of, ledger_of, numbers_of, replays_of, send_all

# -- recovery


def test_every_frame_sends_unfinished_frames_again_as_they_were() -> None:
    """With the prompts that they had, all of them replayed on the first one."""
    ledger = ledger_of("a", capacity=4)
    admit(ledger, *(picture(seq) for seq in range(3)))
    send_all(ledger)
    ledger.finish(Position(0, 0))
    ledger.set_book(ledger.book.add("b", max_prompts=8))
    admit(ledger, picture(3))
    send_all(ledger)
    assert ledger.recover() == 0
    again = frames_of(send_all(ledger))
    assert numbers_of([*again]) == [(1, 0, 1, 0), (1, 1, 2, 0), (1, 2, 3, 0)]
    assert replays_of([*again]) == [[2], [1], [1, 4]]
    assert [item.work.prompts_version for item in again] == [1, 1, 2]
    assert {item.work.memory for item in again} == {0}


def test_freshest_loses_what_was_on_its_way_and_keeps_what_was_not() -> None:
    """History holds the lost ones: they were seen."""
    ledger = ledger_of("a", freshest=True)
    admit(ledger, picture(0), picture(1))
    send_all(ledger)
    admit(ledger, picture(2))
    assert ledger.recover() == 2
    sent = frames_of(send_all(ledger))
    assert numbers_of([*sent]) == [(1, 0, 2, 0)]
    assert replays_of([*sent]) == [[3]]
    assert ledger.frames_done == 2


def test_recovery_without_unfinished_frames_replays_on_the_next_one() -> None:
    """The node that was lost may be the decoder."""
    ledger = ledger_of("a")
    admit(ledger, picture(0))
    send_all(ledger)
    ledger.finish(Position(0, 0))
    ledger.recover()
    admit(ledger, picture(1))
    sent = send_all(ledger)
    assert (numbers_of(sent), replays_of(sent)) == ([(1, 0, 1, 0)], [[2]])


def test_late_finish_makes_a_hole_that_the_first_frame_tells() -> None:
    """Finished frames are not sent again."""
    ledger = ledger_of("a")
    admit(ledger, picture(0), picture(1), picture(2))
    send_all(ledger)
    ledger.recover()
    ledger.finish(Position(0, 1))
    sent = send_all(ledger)
    assert (numbers_of(sent), replays_of(sent)) == ([(1, 2, 2, 2)], [[3]])


def test_second_recovery_before_sending_again_numbers_once_more() -> None:
    """Two nodes may fall at once."""
    ledger = ledger_of("a")
    admit(ledger, picture(0), picture(1))
    send_all(ledger)
    ledger.recover()
    ledger.recover()
    assert numbers_of(send_all(ledger)) == [(2, 0, 0, 0), (2, 1, 1, 0)]


def test_frame_sent_while_recovery_came_is_sent_again() -> None:
    """It left in the old epoch."""
    ledger = ledger_of("a")
    admit(ledger, picture(0))
    outgoing = ledger.take_next(NOW_NS)
    assert outgoing is not None
    ledger.recover()
    ledger.was_sent(outgoing)
    sent = send_all(ledger)
    assert (numbers_of(sent), replays_of(sent)) == ([(1, 0, 0, 0)], [[1]])


def test_finish_of_a_number_never_given_is_ignored() -> None:
    """A number ahead of the stream would empty the window."""
    ledger = ledger_of("a")
    admit(ledger, picture(0))
    send_all(ledger)
    assert ledger.finish(Position(0, 1)) == ledger.finish(Position(9, 0)) == 0
    assert ledger.unfinished == 1


# -- ends


def test_end_with_lookahead_is_told_by_a_notice_that_takes_a_number_and_no_index() -> None:
    """It is finished as a frame is."""
    ledger = ledger_of("a", lookahead=1)
    admit(ledger, picture(0), picture(1))
    ledger.end()
    notice = send_all(ledger)[-1]
    assert isinstance(notice, OutgoingEnd)
    said = notice.notice
    assert (said.reason, said.frame.seq, said.frame.index, said.frames_missed) == (DropReason.ENDED, 2, 2, 0)
    assert ledger.finish(Position(0, 2)) == 2
    assert ledger.unfinished == 0
    assert ledger.next_index == 2


def test_end_without_lookahead_needs_no_notice() -> None:
    """Nobody waits."""
    ledger = ledger_of("a")
    admit(ledger, picture(0))
    ledger.end()
    assert len(send_all(ledger)) == 1


def test_end_is_told_once() -> None:
    """And not before there was a frame."""
    ledger = ledger_of("a", lookahead=1)
    ledger.end()
    admit(ledger, picture(0))
    ledger.end()
    ledger.end()
    assert len(send_all(ledger)) == 2


@pytest.mark.parametrize("freshest", [False, True])
def test_end_is_told_again_after_recovery(freshest: bool) -> None:
    """Else what waits would wait for ever."""
    ledger = ledger_of("a", lookahead=1, freshest=freshest)
    admit(ledger, picture(0))
    ledger.end()
    send_all(ledger)
    ledger.recover()
    again = send_all(ledger)
    assert isinstance(again[-1], OutgoingEnd)
    assert len(again) == 2 - freshest


# -- where prompts apply


def test_without_lookahead_from_the_next_frame() -> None:
    """All frames before it have left with the prompts of their time."""
    ledger = ledger_of("a")
    admit(ledger, picture(0), picture(1))
    first = ledger.oldest_open()
    assert (first.epoch, first.seq, first.index) == (0, 2, 2)


def test_with_lookahead_from_the_oldest_frame_that_waits_for_the_next() -> None:
    """Results are made when the next one comes, under its prompts."""
    ledger = ledger_of("a", lookahead=2, capacity=9)
    admit(ledger, *(picture(seq) for seq in range(5)))
    first = ledger.oldest_open()
    assert (first.epoch, first.seq, first.index) == (0, 3, 3)


def test_with_lookahead_before_as_many_frames_from_the_first() -> None:
    """There are no earlier ones."""
    ledger = ledger_of("a", lookahead=2, capacity=9)
    admit(ledger, picture(0))
    assert ledger.oldest_open().index == 0


def test_with_lookahead_frames_before_a_gap_or_an_end_do_not_wait() -> None:
    """They come out under the prompts that they have."""
    ledger = ledger_of("a", lookahead=2, capacity=9)
    admit(ledger, picture(0), picture(1), picture(2, t=9.0))
    assert ledger.oldest_open().index == 2
    ledger.end()
    assert ledger.oldest_open().index == 3


def test_with_lookahead_frames_sent_again_are_named_in_the_new_epoch() -> None:
    """As they will be called."""
    ledger = ledger_of("a", lookahead=2, capacity=9)
    admit(ledger, *(picture(seq) for seq in range(4)))
    send_all(ledger)
    ledger.finish(Position(0, 0))
    ledger.recover()
    first = ledger.oldest_open()
    assert (first.epoch, first.seq, first.index) == (1, 1, 2)


def test_frames_say_where_their_prompts_apply_from() -> None:
    """Each for its own version."""
    ledger = ledger_of("a")
    admit(ledger, picture(0))
    ledger.set_book(ledger.book.add("b", max_prompts=8))
    admit(ledger, picture(1), picture(2))
    assert [item.work.applies_from.index for item in frames_of(send_all(ledger))] == [0, 1, 1]


# -- going on


def test_every_frame_goes_on_at_the_oldest_unfinished_frame() -> None:
    """A restarted node sends it first."""
    ledger = ledger_of("a")
    admit(ledger, *(picture(seq) for seq in range(3)))
    send_all(ledger)
    ledger.finish(Position(0, 0))
    assert (ledger.resume_index, ledger.frames_done, ledger.next_index) == (1, 1, 3)


def test_freshest_goes_on_at_the_next_frame() -> None:
    """What is under way would be lost."""
    ledger = ledger_of("a", freshest=True)
    admit(ledger, picture(0), picture(3))
    assert ledger.resume_index == 2


def test_skipped_frames_are_history() -> None:
    """So that a restarted decoder gets its window."""
    ledger = ledger_of(start=start_stream("a", epoch=1, next_index=5, frames_done=5))
    ledger.skip([picture(2), picture(3), picture(4)])
    assert not ledger.meet(picture(5))
    assert ledger.admit(picture(5)) == 0
    sent = frames_of(send_all(ledger))
    assert numbers_of([*sent]) == [(1, 0, 5, 0)]
    assert [int(image[0, 0, 0]) for image in sent[0].history] == [2, 3, 4]
    ledger.finish(Position(1, 0))
    assert ledger.frames_done == 6


def test_skipped_frames_before_a_break_are_no_history() -> None:
    """Neither before a gap."""
    ledger = ledger_of("a")
    ledger.skip([picture(0), picture(1, t=9.0), picture(0, t=0.0, epoch=1)])
    admit(ledger, picture(1, t=0.1, epoch=1))
    assert len(frames_of(send_all(ledger))[0].history) == 1


def test_recording_played_again_is_counted_from_its_beginning() -> None:
    """Late ends of its last run do not count."""
    ledger = ledger_of("a")
    admit(ledger, picture(0), picture(1))
    send_all(ledger)
    ledger.begin_anew(opened_again=True, from_first_frame=True)
    ledger.finish(Position(0, 1))
    assert ledger.frames_done == 0
    admit(ledger, picture(0))
    send_all(ledger)
    ledger.finish(Position(1, 0))
    assert (ledger.frames_done, ledger.resume_index) == (1, 3)
