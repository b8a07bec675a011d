"""How this process logs: text for people, or one JSON object a line for programs; and from which level on.

There is one of it in a process, as there is one standard error output. It is chosen where a program starts, and passed
on to the processes of nodes on their command lines.
"""

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple, get_args

from ssa_stream.printable import json_escaped
from ssa_stream.strict_json import parse_json
from ssa_stream.texts import encodable

__all__ = [
    "EVENT_BEGIN",
    "LOG_FORMATS",
    "LOG_LEVELS",
    "LogFormat",
    "LogLevel",
    "LogSettings",
    "as_json_line",
    "is_logged",
    "json_line",
    "json_object",
    "log_settings",
    "timestamp",
    "use_log",
]

LogFormat = Literal["text", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]
LOG_FORMATS: tuple[LogFormat, ...] = get_args(LogFormat)
LOG_LEVELS: tuple[LogLevel, ...] = get_args(LogLevel)
"""From the least important to the most important one."""

EVENT_BEGIN = '{"timestamp": '
"""Of every JSON line."""

_KEYS_OF_ALL = ("timestamp", "level", "event")
_FIRST_KEYS = ("timestamp", "level", "node", "event")


class LogSettings(NamedTuple):
    """How a process logs.

    Attributes:
        format: `text`, or `json`: then every line on stderr is one JSON object.
        level: What is less important is left out.
        node: Who logs: a node, the launcher, or a command.
    """

    format: LogFormat = "text"
    level: LogLevel = "info"
    node: str = ""


_settings = LogSettings()


def log_settings() -> LogSettings:
    """How this process logs."""
    return _settings


def use_log(*, format: LogFormat | None = None, level: LogLevel | None = None, node: str | None = None) -> None:
    """Choose how this process logs; None keeps what was chosen before."""
    global _settings
    before = _settings
    _settings = LogSettings(
        before.format if format is None else format,
        before.level if level is None else level,
        before.node if node is None else node,
    )


def is_logged(level: LogLevel) -> bool:
    """Whether lines of a level are important enough."""
    return LOG_LEVELS.index(level) >= LOG_LEVELS.index(_settings.level)


def timestamp() -> str:
    """The present time as log lines have it: ISO 8601, UTC."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def json_object(fields: Mapping[str, Any]) -> str:
    """One log line from its fields, without its line feed: strict JSON, nothing in it is hidden.

    Time, level, node and event come first. A value that JSON does not know becomes a text; a number that is not finite
    becomes null.
    """
    ordered = {key: fields[key] for key in _FIRST_KEYS if key in fields} | dict(fields)
    return json_escaped(json.dumps(_plain(ordered), ensure_ascii=False))


def json_line(level: str, event: str, **fields: Any) -> str:
    """A log line about something that happened just now, in this process; without its line feed."""
    own = {"timestamp": timestamp(), "level": level, "node": _settings.node, "event": event}
    return json_object(own | {"node": fields.pop("node", _settings.node)} | fields)


def as_json_line(text: str, **fields: Any) -> str:
    """A line that may have been written by anybody, as a log line: itself if it is one, else an event `stderr`.

    A log line is strict JSON: an object with time, level and event, no key twice, no NaN, no half of a surrogate pair.

    Args:
        text: Without its line feed.
        fields: Of the event, such as who wrote the line.
    """
    if text.startswith("{"):
        try:
            event = parse_json(text)
            if isinstance(event, dict) and all(isinstance(event.get(key), str) for key in _KEYS_OF_ALL):
                return json_escaped(text)
        except ValueError:
            pass
    return json_line("info", "stderr", text=text, **fields)


def _plain(value: Any) -> Any:
    """A value as JSON can hold it."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, Mapping):
        return {encodable(str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    return encodable(str(value))
