"""A token bucket."""

from ssa_stream.nodes.broker.allowance import Allowance


def test_allowance_gives_a_burst_and_then_its_rate() -> None:
    """What comes back in time is no more than the burst."""
    now_s = 0.0
    allowance = Allowance(2.0, 3.0, lambda: now_s)
    assert [allowance.take() for _ in range(4)] == [True, True, True, False]
    now_s = 0.5
    assert [allowance.take() for _ in range(2)] == [True, False]
    now_s = 100.0
    assert allowance.is_full
    assert [allowance.take() for _ in range(4)] == [True, True, True, False]


def test_allowance_gives_all_or_nothing() -> None:
    """An amount that is not there takes nothing away."""
    allowance = Allowance(0.0, 3.0, lambda: 0.0)
    assert not allowance.take(4.0)
    assert allowance.take(3.0)
    assert not allowance.is_full
