"""How processes of the graph log: to stderr, one line an event, and a flood of one kind not line by line."""

import contextlib
import sys
import time
from collections.abc import Callable

import structlog
from structlog.typing import EventDict, WrappedLogger

from ssa_stream.printable import printable, printable_lines

__all__ = ["LogLimit", "log_as", "say"]


def say(text: str) -> None:
    """Print lines that are no log lines on stderr, hidden characters written out. A reader may be gone."""
    with contextlib.suppress(OSError):
        print(printable_lines(text), file=sys.stderr, flush=True)


def log_as(node: str) -> None:
    """Log to stderr from now on, one line an event, each with the node's name, from whatever thread it comes.

    Texts of events may be a stranger's: hidden characters in them are written out (`ssa_stream.printable`).
    """

    def name_node(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event.setdefault("node", node)
        return event

    structlog.configure(
        processors=[
            name_node,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _printable_line,
        ],
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


_render = structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "node", "event"], bool_as_flag=False)


def _printable_line(logger: WrappedLogger, method: str, event: EventDict) -> str:
    return printable(_render(logger, method, event))


class LogLimit:
    """At most one line of each kind in a while: what a stranger can cause must not fill a disk with log lines.

        left_out = limit.due("refused")
        if left_out is not None:
            log.warning("refused", text=text, left_out=left_out)

    Args:
        every_s: Seconds between two lines of a kind.
        now_s: The time, monotonic.
    """

    def __init__(self, every_s: float = 1.0, now_s: Callable[[], float] = time.monotonic) -> None:
        self._every_s = every_s
        self._now_s = now_s
        self._last_s: dict[str, float] = {}
        self._left_out: dict[str, int] = {}

    def due(self, kind: str) -> int | None:
        """Whether to log something now.

        Args:
            kind: One of a few words of the program's own, never of what came from outside: each is remembered.
        Returns:
            How many of this kind were left out since the last line; None if this one is to be left out, too.
        """
        now_s = self._now_s()
        last_s = self._last_s.get(kind)
        if last_s is not None and now_s - last_s < self._every_s:
            self._left_out[kind] = self._left_out.get(kind, 0) + 1
            return None
        self._last_s[kind] = now_s
        return self._left_out.pop(kind, 0)
