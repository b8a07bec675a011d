"""A policy that cannot work is refused where it is made."""

import pytest

from ssa_stream.errors import ConfigError, SourceErrorCode
from ssa_stream.sources import RecoveryPolicy


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"connect_s": 0}, "connect_s is 0"),
        ({"first_frame_s": float("inf")}, "first_frame_s is inf"),
        ({"stall_s": float("nan")}, "stall_s is nan"),
        ({"stall_s": 9.0, "lost_s": 3.0}, "stall_s is 9.0: expected at most lost_s, 3.0"),
        ({"retry_s": 9.0, "retry_max_s": 3.0}, "retry_s is 9.0"),
        ({"give_up_after_s": 0}, "give_up_after_s is 0"),
    ],
)
def test_policy_refuses_what_is_not_finite_or_in_the_wrong_order(changes: dict[str, float], says: str) -> None:
    """Every wait has an end."""
    with pytest.raises(ConfigError, match=says):
        RecoveryPolicy(**changes)  # type: ignore[arg-type]


def test_with_timeouts_keeps_a_stall_within_the_limit_of_silence() -> None:
    """Shorter than the policy's own stall, it is both."""
    policy = RecoveryPolicy(stall_s=2, lost_s=5).with_timeouts(None, 1.0)
    assert (policy.connect_s, policy.stall_s, policy.lost_s) == (5.0, 1.0, 1.0)
    assert RecoveryPolicy().with_timeouts(None, None) == RecoveryPolicy()
    with pytest.raises(ConfigError, match="connect_s is 0"):
        RecoveryPolicy().with_timeouts(0, None)


def test_retry_after_many_failures_is_still_a_number() -> None:
    """Doubling has an end before floats have."""
    policy = RecoveryPolicy()
    assert policy.retry_in_s(10**6, SourceErrorCode.LOST, was_live=True, jitter=lambda: 1.0) == policy.retry_max_s
