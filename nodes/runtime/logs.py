"""How processes of the graph log: to stderr, one line an event."""

import sys

import structlog
from structlog.typing import EventDict, WrappedLogger

__all__ = ["log_as"]


def log_as(node: str) -> None:
    """Log to stderr from now on, one line an event, each with the node's name, from whatever thread it comes."""

    def name_node(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event.setdefault("node", node)
        return event

    structlog.configure(
        processors=[
            name_node,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "node", "event"], bool_as_flag=False),
        ],
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
