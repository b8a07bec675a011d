"""Counts of what the broker does and of what it ignores."""

from collections import Counter

import structlog

from ssa_stream.nodes.broker.refusals import note
from ssa_stream.nodes.pipeline import BROKER
from ssa_stream.nodes.runtime.logs import LogLimit

__all__ = ["Counters"]

_log = structlog.get_logger()


class Counters(Counter[str]):
    """Counters by name; they only grow."""

    def __init__(self) -> None:
        super().__init__()
        self._limit = LogLimit()

    def passed_over(self, what: str, text: str) -> None:
        """Count something that was not taken. One of each kind is logged in a second: a flood of them fills no log.

        Args:
            what: Which kind; one of a few words of the broker's own.
            text: About this one.
        """
        self[what] += 1
        left_out = self._limit.due(what)
        if left_out is not None:
            more = {"left_out": left_out} if left_out else {}
            _log.warning("passed over", node=BROKER, what=what, text=note(text), **more)
