"""What the graph's processes log, and how often."""

import contextlib
import os
from pathlib import Path

import pytest
import structlog

from ssa_stream.nodes.runtime.logs import LogLimit, log_as, say
from tests.support.manual_clock import ManualClock


def test_flood_of_one_kind_is_one_line_a_second_that_says_how_many_were_left_out() -> None:
    """The first line comes at once."""
    clock = ManualClock()
    limit = LogLimit(now_s=lambda: clock.monotonic_ns() / 1e9)
    assert [limit.due("refused") for _ in range(4)] == [0, None, None, None]
    clock.advance(0.99)
    assert limit.due("refused") is None
    clock.advance(0.02)
    assert limit.due("refused") == 4
    clock.advance(5)
    assert limit.due("refused") == 0


def test_kinds_do_not_silence_each_other() -> None:
    """Each has its own second."""
    limit = LogLimit(now_s=lambda: 100.0)
    assert limit.due("refused") == 0
    assert limit.due("malformed") == 0
    assert limit.due("refused") is None


def test_log_line_shows_what_is_hidden_in_what_was_logged(capsys: pytest.CaptureFixture[str]) -> None:
    """In texts, in values that are no texts, and in the text of an error; one line an event."""
    before = structlog.get_config()
    try:
        log_as("encoder-0")
        try:
            raise ValueError("bad\x1b]0;t\x07")
        except ValueError:
            structlog.get_logger().exception("was\x9b2J told", peer=Path("a\u202eb"), reason="x\r\ny\x7f")
    finally:
        structlog.configure(**before)
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert line.removesuffix("\n").isprintable()
    for text in (r"was\x9b2J told", r"a\u202eb", r"x\x0d\ny\x7f", r"ValueError: bad\x1b]0;t\x07"):
        assert text in line


def test_line_that_nobody_reads_is_no_error() -> None:
    """Whoever starts a graph from a program of theirs may have closed what it says."""
    reading, writing = os.pipe()
    os.close(reading)
    gone = os.fdopen(writing, "w")
    with contextlib.redirect_stderr(gone):
        say("a line")
    with pytest.raises(BrokenPipeError):
        gone.close()
