"""Some seeds of the fuzzer's targets that need a gateway; `python -m benchmarks.fuzz` tries longer."""

import pytest

from benchmarks.fuzzing.targets import TARGETS
from benchmarks.fuzzing.trying import Plan, try_target

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize(("name", "attempts"), [("sdp", 60), ("http", 150)])
def test_broken_offers_and_requests_are_answered_as_foreseen(name: str, attempts: int) -> None:
    """No status 500, nothing in the log as unforeseen, and a well-formed request afterwards is served."""
    tally = try_target(TARGETS[name], Plan(first_seed=0, seconds=300.0, attempts=attempts))
    assert tally.findings == []
    assert tally.attempts == attempts
    assert {"taken", "refused"} <= set(tally.outcomes)
