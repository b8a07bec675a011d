"""The window of unfinished frames: order, room, what finishes what, and what is sent again."""

from hypothesis import given
from hypothesis import strategies as st

from ssa_stream.nodes.ingest.in_flight import InFlightFrames, Position


def _filled(count: int, *, sent: int | None = None, capacity: int = 8) -> InFlightFrames[int]:
    """Entries 0, 1, ... of epoch 0, of which so many were sent."""
    window: InFlightFrames[int] = InFlightFrames(capacity)
    for seq in range(count):
        window.add(Position(0, seq), seq)
        if sent is None or seq < sent:
            window.mark_sent(Position(0, seq))
    return window


def _contents(window: InFlightFrames[int]) -> list[int]:
    return [entry.content for entry in window]


def test_window_when_full_has_no_room() -> None:
    """A frame more than that waits, or is overtaken."""
    assert _filled(2, capacity=3).has_room
    assert not _filled(3, capacity=3).has_room


def test_finish_up_to_a_position_takes_all_before_it_and_none_after() -> None:
    """One message stands for many frames."""
    window = _filled(5)
    assert [entry.content for entry in window.finish(Position(0, 2))] == [0, 1, 2]
    assert _contents(window) == [3, 4]


def test_finish_twice_takes_nothing_more() -> None:
    """Nor does an earlier one that comes late."""
    window = _filled(3)
    window.finish(Position(0, 1))
    assert window.finish(Position(0, 1)) == []
    assert window.finish(Position(0, 0)) == []


def test_finish_never_takes_what_was_not_sent() -> None:
    """Whatever position is named."""
    window = _filled(4, sent=2)
    window.finish(Position(5, 0))
    assert _contents(window) == [2, 3]


def test_next_unsent_is_the_oldest_one() -> None:
    """Order is kept."""
    entry = _filled(3, sent=1).next_unsent()
    assert entry is not None
    assert entry.content == 1


def test_renumbered_entries_have_to_be_sent_again_in_order() -> None:
    """From 0 on in the new epoch."""
    window = _filled(5)
    window.finish(Position(0, 1))
    assert window.renumber(3) == 3
    again = []
    while (entry := window.next_unsent()) is not None:
        window.mark_sent(entry.position)
        again.append((entry.position, entry.content))
    assert again == [(Position(3, 0), 2), (Position(3, 1), 3), (Position(3, 2), 4)]


def test_late_finish_of_the_old_epoch_spares_sending_again() -> None:
    """What is finished need not be done twice."""
    window = _filled(4)
    window.renumber(1)
    window.finish(Position(0, 1))
    entry = window.next_unsent()
    assert entry is not None
    assert (entry.position, entry.content) == (Position(1, 2), 2)


def test_late_finish_does_not_tear_a_hole_behind_a_frame_that_was_sent_again() -> None:
    """Who is sent an earlier frame again goes back to it, and needs every later one."""
    window = _filled(4)
    window.renumber(1)
    window.mark_sent(Position(1, 0))
    assert window.finish(Position(0, 3)) == []
    assert _contents(window) == [0, 1, 2, 3]


def test_withdrawn_entry_is_gone_and_the_others_stay() -> None:
    """A second time there is nothing."""
    window = _filled(3)
    assert window.withdraw(Position(0, 1))
    assert not window.withdraw(Position(0, 1))
    assert _contents(window) == [0, 2]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 12)), max_size=30), st.integers(1, 10))
def test_finish_in_any_order_is_cumulative(positions: list[tuple[int, int]], count: int) -> None:
    """The newest position counts, whatever the order."""
    window = _filled(count, capacity=10)
    taken: list[int] = []
    for epoch, seq in positions:
        taken += [entry.content for entry in window.finish(Position(epoch, seq))]
    newest = max((Position(*position) for position in positions), default=Position(-1, 0))
    expected = [seq for seq in range(count) if Position(0, seq) <= newest]
    assert taken == expected
    assert _contents(window) == list(range(len(expected), count))
