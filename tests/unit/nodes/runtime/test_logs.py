"""What the graph's processes log, and how often."""

from ssa_stream.nodes.runtime.logs import LogLimit
from tests.support.manual_clock import ManualClock


def test_flood_of_one_kind_is_one_line_a_second_that_says_how_many_were_left_out() -> None:
    """The first line comes at once."""
    clock = ManualClock()
    limit = LogLimit(now_s=lambda: clock.monotonic_ns() / 1e9)
    assert [limit.due("refused") for _ in range(4)] == [0, None, None, None]
    clock.advance(0.99)
    assert limit.due("refused") is None
    clock.advance(0.02)
    assert limit.due("refused") == 4
    clock.advance(5)
    assert limit.due("refused") == 0


def test_kinds_do_not_silence_each_other() -> None:
    """Each has its own second."""
    limit = LogLimit(now_s=lambda: 100.0)
    assert limit.due("refused") == 0
    assert limit.due("malformed") == 0
    assert limit.due("refused") is None
