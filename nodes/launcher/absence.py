"""Notices that the launcher itself did not run for a while, and tells everybody."""

import asyncio
from collections.abc import Callable

import structlog

from ssa_stream.awake import AwakeClock
from ssa_stream.nodes.broker import Broker
from ssa_stream.protocols import EventKind

__all__ = ["notice_absence"]

_LOG = structlog.get_logger()


_STARTING_S = 10.0
"""While nodes start, they load networks, and a busy machine gives the launcher no turn: shorter ones are no news."""


async def notice_absence(awake: AwakeClock, every_s: float, broker: Broker, is_ready: Callable[[], bool]) -> None:
    """Read the clock often enough for it to see a gap, and tell of every gap once. Runs until cancelled.

    Args:
        awake: By what nodes are judged.
        every_s: Time between two readings; well below the clock's gap.
        broker: Publishes the event.
        is_ready: Whether the graph was ready; before, short gaps are counted only.
    """
    told_s = 0.0
    while True:
        awake.monotonic_ns()
        away_s = awake.away_s - told_s
        if away_s:
            told_s += away_s
            text = (
                f"the launcher did not run for {away_s:.1f} s: it was stopped, or had no processor, memory or disk; "
                f"no node is judged by that time"
            )
            broker.counters["launcher_away"] += 1
            log = _LOG.warning if is_ready() or away_s >= _STARTING_S else _LOG.debug
            log("the launcher was away", away_s=round(away_s, 1))
            await broker.publish_event(EventKind.LAUNCHER_AWAY, severity="warning", text=text)
        await asyncio.sleep(every_s)
