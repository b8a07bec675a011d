"""Gaps in which the launcher did not run: all are counted, and those that say something are told."""

import asyncio
from collections import Counter
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from ssa_stream.awake import AwakeClock
from ssa_stream.nodes.broker import Broker
from ssa_stream.nodes.launcher.absence import notice_absence


class _Clock:
    """Was away once, for so long."""

    def __init__(self, away_s: float) -> None:
        self.away_s = away_s

    def monotonic_ns(self) -> int:
        return 0


class _Broker:
    """Counts what it is told."""

    def __init__(self) -> None:
        self.counters: Counter[str] = Counter()

    async def publish_event(self, *event: object, **fields: object) -> None:
        self.counters["events"] += 1


@pytest.mark.parametrize(
    ("away_s", "is_ready", "level"),
    [(1.5, False, "debug"), (12.0, False, "warning"), (1.5, True, "warning")],
    ids=["short, starting", "long, starting", "short, ready"],
)
async def test_short_absence_is_a_warning_only_of_a_graph_that_was_ready(
    away_s: float, is_ready: bool, level: str
) -> None:
    """While networks are loaded on a busy machine, it happens at nearly every start."""
    broker: Any = _Broker()
    with capture_logs() as logs:
        watching = asyncio.create_task(
            notice_absence(cast(AwakeClock, _Clock(away_s)), 0.001, cast(Broker, broker), lambda: is_ready)
        )
        await asyncio.sleep(0.05)
        watching.cancel()
    assert broker.counters == {"launcher_away": 1, "events": 1}
    assert [(entry["log_level"], entry["away_s"]) for entry in logs] == [(level, away_s)]
