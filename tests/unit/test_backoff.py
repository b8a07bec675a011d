"""Waits before something is tried again."""

from ssa_stream.backoff import backoff_s


def test_waits_double_up_to_the_limit() -> None:
    """With jitter at its upper end."""
    assert [backoff_s(n, 0.5, 10.0, lambda: 1.0) for n in range(1, 7)] == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0]
    assert backoff_s(0, 0.5, 10.0, lambda: 1.0) == 0.5


def test_jitter_shortens_a_wait_by_at_most_a_half() -> None:
    """So that a lost server is not asked in a hurry."""
    assert [backoff_s(n, 0.5, 10.0, lambda: 0.0) for n in (1, 2, 9)] == [0.25, 0.5, 5.0]
    assert all(0.25 <= backoff_s(1, 0.5, 10.0) <= 0.5 for _ in range(100))


def test_waits_stay_finite_however_often_it_fails() -> None:
    """A camera may be away for a week."""
    assert backoff_s(10**6, 0.5, 10.0, lambda: 1.0) == 10.0
