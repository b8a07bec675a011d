"""Pauses before restarts: they double, are spread, and end when a node falls too often."""

import pytest

from ssa_stream.nodes.launcher.supervisor import RestartPolicy
from ssa_stream.nodes.pipeline import HealthSection
from tests.support.manual_clock import ManualClock


def _policy(clock: ManualClock, jitter: float = 1.0, **health: float) -> RestartPolicy:
    return RestartPolicy(HealthSection(**health), clock, lambda: jitter)  # type: ignore[arg-type]  # numbers of any kind


def test_pause_doubles_up_to_its_limit() -> None:
    """Each loss within the window doubles the pause."""
    policy = _policy(ManualClock(), backoff_s=0.2, backoff_max_s=1.0)
    assert [policy.pause_after_loss() for _ in range(5)] == pytest.approx([0.2, 0.4, 0.8, 1.0, 1.0])


def test_pause_is_half_to_the_whole_of_a_step() -> None:
    """Jitter never makes a pause longer than its step, nor shorter than half of it."""
    assert _policy(ManualClock(), jitter=0.0, backoff_s=0.2).pause_after_loss() == pytest.approx(0.1)
    assert _policy(ManualClock(), jitter=0.5, backoff_s=0.2).pause_after_loss() == pytest.approx(0.15)


def test_too_many_losses_within_the_window_end_it() -> None:
    """One loss more than allowed gives no pause."""
    policy = _policy(ManualClock(), max_restarts=2)
    assert [policy.pause_after_loss() is None for _ in range(3)] == [False, False, True]
    assert policy.recent_losses == 3


def test_losses_outside_the_window_are_forgotten() -> None:
    """A node that falls now and then is started again for ever, after the first pause."""
    clock = ManualClock()
    policy = _policy(clock, max_restarts=1, restart_window_s=60.0, backoff_s=0.2)
    for _ in range(10):
        assert policy.pause_after_loss() == pytest.approx(0.2)
        clock.advance(61.0)


def test_no_restarts_allowed_ends_it_at_once() -> None:
    """`max_restarts: 0` is for whoever restarts the whole."""
    assert _policy(ManualClock(), max_restarts=0).pause_after_loss() is None
