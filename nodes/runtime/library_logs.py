"""What libraries say through Python's `logging`, as lines of the graph's log: of each kind one a second at most."""

import logging
from collections.abc import Callable

import structlog

from ssa_stream.nodes.runtime.logs import LogLimit

__all__ = ["LibraryLogs"]


class LibraryLogs(logging.Handler):
    """Takes the place of `logging`'s own output, which writes a traceback for each thing that a stranger does.

    Args:
        count: Called with `library_errors` for every error that a library logs.
        limit: How often a line of a kind, here a library, is written.
    """

    def __init__(self, count: Callable[[str], None] = lambda name: None, limit: LogLimit | None = None) -> None:
        super().__init__(logging.WARNING)
        self._count, self._limit = count, limit or LogLimit()

    def emit(self, record: logging.LogRecord) -> None:
        """Write it, or leave it out."""
        if record.levelno >= logging.ERROR:
            self._count("library_errors")
        library = record.name.partition(".")[0]
        left_out = self._limit.due(library)
        if left_out is None:
            return
        structlog.get_logger().log(
            min(record.levelno, logging.ERROR),
            record.getMessage(),
            library=library,
            **({"exc_info": record.exc_info} if record.exc_info else {}),
            **({"left_out": left_out} if left_out else {}),
        )
