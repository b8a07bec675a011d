"""What libraries say through Python's `logging`, as lines of the graph's log: of each kind one a second at most."""

import logging

import structlog

from ssa_stream.nodes.runtime.logs import LogLimit

__all__ = ["LibraryLogs"]


class LibraryLogs(logging.Handler):
    """Takes the place of `logging`'s own output, which writes a traceback for each thing that a stranger does.

    Args:
        limit: How often a line of a kind, here a library, is written.
    """

    def __init__(self, limit: LogLimit | None = None) -> None:
        super().__init__(logging.WARNING)
        self._limit = limit or LogLimit()

    def emit(self, record: logging.LogRecord) -> None:
        """Write it, or leave it out."""
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
