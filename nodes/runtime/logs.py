"""How processes of the graph log: to stderr, one line an event, and a flood of one kind not line by line."""

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

from ssa_stream.log_lines import LOG_FORMATS, LOG_LEVELS, as_json_line, json_line, json_object, log_settings, use_log
from ssa_stream.printable import printable, printable_lines

__all__ = [
    "LogLimit",
    "add_log_arguments",
    "failure_in",
    "is_log_line",
    "log_arguments",
    "log_as",
    "say",
    "say_failure",
    "text_of",
]

_FAILURE = "ended by an error"


def log_arguments() -> list[str]:
    """For the command line of a node: that it logs as this process does."""
    settings = log_settings()
    return [f"--log-format={settings.format}", f"--log-level={settings.level}"]


def add_log_arguments(parser: argparse.ArgumentParser) -> None:
    """Let a node understand what `log_arguments` gives."""
    parser.add_argument("--log-format", choices=LOG_FORMATS, default="text", help="how lines of its log look")
    parser.add_argument("--log-level", choices=LOG_LEVELS, default="info", help="what is less important is left out")


def say(text: str) -> None:
    """Print lines that are no log lines on stderr, hidden characters written out. A reader may be gone.

    Where the log is JSON, each of them becomes an event, unless it is a JSON object already.
    """
    if log_settings().format == "json":
        text = "\n".join(as_json_line(line) for line in text.split("\n") if line.strip())
    with contextlib.suppress(OSError):
        print(printable_lines(text), file=sys.stderr, flush=True)


def say_failure(node: str, text: str) -> None:
    """Print the error that a node ends with; the launcher finds it with `failure_in`."""
    say(json_line("error", _FAILURE, node=node, text=text) if log_settings().format == "json" else f"{node}: {text}")


def failure_in(lines: Sequence[str], node: str) -> str | None:
    """What `say_failure` printed last among the lines that a node wrote; None if nothing."""
    mark = f"{node}: "
    for i in reversed(range(len(lines))):
        if lines[i].startswith(mark):
            return "\n".join(lines[i:]).removeprefix(mark)
        event = _event_of(lines[i])
        if event.get("event") == _FAILURE:
            return str(event.get("text", ""))
    return None


def is_log_line(line: str) -> bool:
    """Whether a line is an event of a log, in either format."""
    return line.startswith("timestamp=") or "timestamp" in _event_of(line)


def text_of(line: str) -> str:
    """What a line says: of a JSON line the text of its event, of another one all of it."""
    event = _event_of(line)
    return str(event.get("text") or event.get("event") or line)


def _event_of(line: str) -> dict[str, Any]:
    """The fields of a JSON line; none if it is something else."""
    if not line.startswith("{"):
        return {}
    try:
        event = json.loads(line)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}


def log_as(node: str) -> None:
    """Log to stderr from now on, one line an event, each with the node's name, from whatever thread it comes.

    Format and level are those of `ssa_stream.log_lines`.

    Texts of events may be a stranger's: hidden characters in them are written out (`ssa_stream.printable`).
    """

    def name_node(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event.setdefault("node", node)
        return event

    use_log(node=node)
    settings = log_settings()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(settings.level),
        processors=[
            name_node,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _json_line if settings.format == "json" else _printable_line,
        ],
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


_render = structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "node", "event"], bool_as_flag=False)


def _json_line(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    return json_object(event)


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
