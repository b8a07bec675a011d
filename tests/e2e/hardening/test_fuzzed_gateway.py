"""Some seeds of the fuzzer's targets that need a gateway; `python -m benchmarks.fuzz` tries longer."""

from collections import Counter
from pathlib import Path

import pytest

from benchmarks.fuzzing.gateway import http, sdp
from benchmarks.fuzzing.trying import Target

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize(("target", "seeds"), [(sdp, range(40)), (http, range(100))], ids=["sdp", "http"])
def test_broken_offers_and_requests_are_answered_as_foreseen(target: Target, seeds: range, tmp_path: Path) -> None:
    """No status 500, nothing in the log as unforeseen, and a well-formed request afterwards is served."""
    with target(tmp_path) as attempt:
        outcomes = Counter(attempt(seed) for seed in seeds)
    assert {"taken", "refused"} <= set(outcomes)
