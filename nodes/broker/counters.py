"""Counts of what the broker does and of what it ignores."""

from collections import Counter

import structlog

from ssa_stream.nodes.broker.refusals import note
from ssa_stream.nodes.pipeline import BROKER

__all__ = ["Counters"]

_log = structlog.get_logger()


class Counters(Counter[str]):
    """Counters by name; they only grow."""

    def passed_over(self, what: str, text: str) -> None:
        """Count something that was not taken. The first of each kind is logged; a flood of them fills no log."""
        self[what] += 1
        if self[what] == 1:
            _log.warning("passed over", node=BROKER, what=what, text=note(text))
