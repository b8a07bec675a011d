"""Frames come out in order, whatever order they come in; what is missing is waited for, but not for ever."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssa_stream.nodes.decoder.ordering import Arrival, StreamOrder
from ssa_stream.protocols import DropReason
from tests.support.frame_works import frame
from tests.unit.streaming.comparing import property_test

WAIT = 100


def _arrival(
    seq: int, *, epoch: int = 0, index: int | None = None, missed: int = 0, memory: int | None = 0
) -> Arrival[str]:
    return Arrival(frame(seq, epoch=epoch, index=index), missed, memory, f"{epoch}.{seq}")


def _order(*arrivals: Arrival[str], now_ns: int = 0) -> StreamOrder[str]:
    order: StreamOrder[str] = StreamOrder(WAIT)
    for arrival in arrivals:
        assert order.offer(arrival, now_ns) is None
    return order


def _taken(order: StreamOrder[str], now_ns: int = 0) -> list[str]:
    return [item.content for item in order.take(now_ns)[0]]


@property_test(30)
@given(seed=st.integers(0, 10_000), holes=st.sets(st.integers(0, 19)))
def test_any_order_of_coming_gives_one_order_of_leaving(seed: int, holes: set[int]) -> None:
    """With numbers that were never sent, and a new epoch of another memory in the middle."""
    arrivals, last = [], {0: -1, 1: -1}
    index = 0
    for number in range(20):
        epoch, seq = divmod(number, 10)
        if number in holes:
            continue
        arrivals.append(_arrival(seq, epoch=epoch, index=index, missed=seq - last[epoch] - 1, memory=epoch))
        last[epoch], index = seq, index + 1
    # The first one comes first: nothing tells a beginning from the middle of a stream.
    shuffled = arrivals[:1] + random.Random(seed).sample(arrivals[1:], max(0, len(arrivals) - 1))
    order: StreamOrder[str] = StreamOrder(WAIT)
    left = []
    for arrival in shuffled:
        assert order.offer(arrival, 0) is None
        released, lost = order.take(0)
        assert lost == []
        assert not any(item.after_gap for item in released)
        left += [item.content for item in released]
    assert left == [arrival.content for arrival in arrivals]
    assert len(order) == 0


def test_missing_frame_is_waited_for_then_passed_over() -> None:
    """What comes after the wait says that there was a gap; the frame itself is of no use any more."""
    order = _order(_arrival(0), _arrival(2), _arrival(3))
    assert _taken(order) == ["0.0"]
    assert order.deadline_ns == WAIT
    assert _taken(order, WAIT - 1) == []
    released, _ = order.take(WAIT)
    assert [(item.content, item.after_gap) for item in released] == [("0.2", True), ("0.3", False)]
    assert order.offer(_arrival(1), WAIT) is DropReason.DUPLICATE
    assert order.deadline_ns is None


@pytest.mark.parametrize("twice", [_arrival(0), _arrival(2)])
def test_frame_that_comes_twice_is_refused(twice: Arrival[str]) -> None:
    """Whether the first one has left or waits."""
    order = _order(_arrival(0), _arrival(2))
    order.take(0)
    assert order.offer(twice, 0) is DropReason.DUPLICATE


def test_new_epoch_of_the_same_memory_leaves_the_old_one_behind() -> None:
    """A node was restarted: what waits for lost frames comes again, or is lost with them."""
    order = _order(_arrival(0), _arrival(2))
    order.take(0)
    assert order.offer(_arrival(0, epoch=1, index=1), 1) is None
    released, left = order.take(1)
    assert [item.content for item in released] == ["1.0"]
    assert left == ["0.2"]
    assert order.offer(_arrival(3), 2) is DropReason.NODE_RESTART


def test_new_epoch_of_the_same_memory_may_skip_lost_frames() -> None:
    """Where the newest frame counts, those that were under way are lost for good."""
    order = _order(_arrival(0))
    order.take(0)
    order.offer(_arrival(0, epoch=1, index=4), 0)
    assert _taken(order) == ["1.0"]


def test_frames_sent_again_may_be_of_an_earlier_memory() -> None:
    """The source began anew just before the restart: what is sent again goes back over that."""
    order = _order(_arrival(0), _arrival(0, epoch=1, index=1, memory=1))
    assert _taken(order) == ["0.0", "1.0"]
    order.offer(_arrival(0, epoch=2, index=0, memory=0), 0)
    assert _taken(order) == ["2.0"]


def test_source_that_begins_anew_waits_for_frames_before() -> None:
    """They are under way; the index says that one is missing."""
    order = _order(_arrival(0), _arrival(0, epoch=1, index=2, memory=1))
    assert _taken(order) == ["0.0"]
    order.offer(_arrival(1), 0)
    assert _taken(order) == ["0.1", "1.0"]


def test_order_that_begins_late_starts_with_the_next_epoch() -> None:
    """A restarted decoder: the rest of the old epoch is not taken for the beginning."""
    order = _order(_arrival(5), _arrival(6))
    assert _taken(order) == []
    order.offer(_arrival(0, epoch=1, index=3), 0)
    released, left = order.take(0)
    assert [item.content for item in released] == ["1.0"]
    assert left == ["0.5", "0.6"]


def test_notice_takes_the_place_of_its_frame() -> None:
    """It does not know the memory, and needs not to."""
    order = _order(_arrival(0), _arrival(1, memory=None), _arrival(2))
    assert _taken(order) == ["0.0", "0.1", "0.2"]
