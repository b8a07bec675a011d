"""How a log line looks in JSON, whatever is logged."""

import io
import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from ssa_stream import standard_streams
from ssa_stream.log_lines import (
    LOG_LEVELS,
    LogFormat,
    LogLevel,
    as_json_line,
    is_logged,
    json_line,
    log_settings,
    timestamp,
    use_log,
)
from ssa_stream.nodes.runtime.logs import failure_in, is_log_line, log_arguments, say, say_failure, text_of


@pytest.fixture(autouse=True)
def json_log() -> Iterator[None]:
    """This process logs in JSON."""
    before = log_settings()
    use_log(format="json", level="info", node="encoder-0")
    yield
    use_log(format=before.format, level=before.level, node=before.node)


def test_line_begins_with_the_keys_that_all_have() -> None:
    """The others follow in their order; strict JSON, with nothing hidden in it."""
    line = json_line("info", "begins", zebra=1, age=math.nan, file=Path("a\u202eb"), deep={1: (math.inf, "x\ny")})
    assert line.isprintable()
    event = json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert list(event) == ["timestamp", "level", "node", "event", "zebra", "age", "file", "deep"]
    assert list(event.values())[1:] == ["info", "encoder-0", "begins", 1, None, "a\u202eb", {"1": [None, "x\ny"]}]


def test_own_line_is_one_whatever_is_logged() -> None:
    """It passes from process to process as it is; a file name of other bytes is shown by escapes."""
    line = json_line("info", "begins", age=-math.inf, file="a\udce9", deep={"\udce9": [Path("b\udce9")]})
    assert as_json_line(line) == line
    assert json.loads(line)["file"] == "a\\udce9"


def test_time_is_as_in_text() -> None:
    """ISO 8601 in UTC, by the letter Z."""
    assert timestamp().endswith("Z")
    assert "T" in timestamp()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"timestamp": "t", "level": "info", "event": "x"}', None),
        ('{"timestamp": "t", "level": "info", "event": "x", "loss": NaN}',) * 2,
        ('{"timestamp": "t", "level": "info", "event": "x", "a": 1, "a": 2}',) * 2,
        ('{"timestamp": "t", "level": "info", "event": "x", "a": "\\ud800"}',) * 2,
        ('{"timestamp": "t", "event": "x"}',) * 2,
        ('{"timestamp": "t", "level": 3, "event": "x"}',) * 2,
        ('{"loss": 1}',) * 2,
        ('{"a": ' * 5000,) * 2,
        ("a word", "a word"),
        ('{"broken": ', '{"broken": '),
        ("[1]", "[1]"),
        ("\x1b[2Jx", "\x1b[2Jx"),
    ],
    ids=[
        "event", "not a number", "key twice", "half a character", "no level", "level", "figures", "deep", "text",
        "broken", "no object", "hidden",
    ],
)  # fmt: skip
def test_line_of_anybody_becomes_an_event_unless_it_is_one(line: str, expected: str | None) -> None:
    """With who wrote it."""
    told = as_json_line(line, node="masks-0")
    assert told.isprintable()
    if expected is None:
        assert told == line
    else:
        event = json.loads(told)
        assert (event["event"], event["text"], event["node"]) == ("stderr", expected, "masks-0")


@pytest.mark.parametrize(
    ("level", "logged"),
    [("debug", "debug info warning error"), ("warning", "warning error"), ("error", "error")],
)
def test_level_leaves_out_what_is_less_important(level: LogLevel, logged: str) -> None:
    """And is passed on to nodes."""
    use_log(level=level)
    assert [one for one in LOG_LEVELS if is_logged(one)] == logged.split()
    assert log_arguments() == ["--log-format=json", f"--log-level={level}"]


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_error_that_a_node_ends_with_is_found_again(log_format: LogFormat, capsys: pytest.CaptureFixture[str]) -> None:
    """In both formats, also where other lines are about it, and of several lines."""
    use_log(format=log_format)
    say("begins")
    say_failure("encoder-0", "no such file\nin this folder")
    lines = capsys.readouterr().err.splitlines()
    assert failure_in(lines, "encoder-0") == "no such file\nin this folder"
    assert failure_in(lines[:1], "encoder-0") is None


def test_event_is_known_for_one_and_its_text_is_read() -> None:
    """The last line of a node may be why it ended, but an event is no last word of a crash."""
    line = json_line("error", "unexpected error", text="ValueError: x", exception="Traceback ...")
    assert is_log_line(line)
    assert text_of(line) == "ValueError: x"
    assert is_log_line("timestamp=2026 level=info")
    assert not is_log_line("Fatal Python error: Aborted")
    assert text_of("Fatal Python error: Aborted") == "Fatal Python error: Aborted"


class _Kept(standard_streams.LossyWriter):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__(2)
        self.kept = io.BytesIO()

    def write(self, data: object) -> int:
        """Keep it."""
        return self.kept.write(bytes(data))  # type: ignore[call-overload]  # bytes


def test_event_begins_a_line_of_its_own_after_something_that_did_not_end() -> None:
    """Writes may come in any pieces."""
    writer = _Kept()
    lines = standard_streams._JsonLines(writer)
    event = json_line("info", "begins")
    for piece in (b"half a ", event[:20].encode(), event[20:].encode() + b"\nwhole\n\n", b"the rest"):
        lines.write(piece)
    lines.end()
    told = [json.loads(line) for line in writer.kept.getvalue().splitlines()]
    assert [one.get("text", one["event"]) for one in told] == ["half a ", "begins", "whole", "the rest"]
