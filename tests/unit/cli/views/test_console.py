"""What the consoles of commands let through to a terminal."""

import contextlib
import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from rich.table import Table
from rich.text import Text

from ssa_stream.cli.views import console
from ssa_stream.errors import SinkError

_HOSTILE = "cup\x1b]52;c;Zm9v\x07\x1b[2J\x9b1m\u202e\x08\r[link=http://x]here[/link][/]:cup:"
_SHOWN = r"cup\x1b]52;c;Zm9v\x07\x1b[2J\x9b1m\u202e\x08\x0d[link=http://x]here[/link][/]:cup:"


_each_encoding = pytest.mark.parametrize("encoding", ["utf-8", "ascii"])


@contextmanager
def _terminal(encoding: str) -> Iterator[io.BytesIO]:
    """What is written to both streams of a terminal of an encoding; a character that it lacks fails."""
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding=encoding, errors="strict", write_through=True)
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(stream),
        contextlib.redirect_stderr(stream),
    ):
        patch.setenv("FORCE_COLOR", "1")
        patch.setenv("COLUMNS", "200")
        yield written
        stream.detach()


@_each_encoding
def test_text_is_only_text_and_style_is_still_style(encoding: str) -> None:
    """Whether it comes as a string, as a styled text, in a table or in an error."""
    table = Table(title=_HOSTILE)
    table.add_column(_HOSTILE)
    table.add_row(_HOSTILE)
    table.add_row(console.shown(_HOSTILE))
    with _terminal(encoding) as written:
        for made in (console.output(), console.errors()):
            made.print(_HOSTILE, soft_wrap=True)
            made.print(Text("plain", style="bold"))
            made.print(table)
        console.print_error(_HOSTILE)
        console.print_warning(_HOSTILE)
    printed = written.getvalue().decode(encoding)
    assert printed.count(_SHOWN) == 12
    assert printed.count("\x1b[1mplain\x1b[0m") == 2
    styles = printed.replace("\x1b[", "")
    assert not {"\x1b", "\x07", "\x9b", "\u202e", "\x08", "\r"} & set(styles)


@_each_encoding
def test_styled_text_that_was_not_made_printable_cannot_harm_either(encoding: str) -> None:
    """The last place that it passes is enough."""
    with _terminal(encoding) as written:
        console.output().print(Text("a\x1b]0;t\u202e"), soft_wrap=True)
    assert rb"a\x1b]0;t\u202e" in written.getvalue()


@_each_encoding
def test_text_of_other_scripts_is_shown_or_written_out(encoding: str) -> None:
    """What the terminal lacks never fails; our own bars and rich's ellipses have a plain form."""
    with _terminal(encoding) as written:
        console.output().print("红 █░…")
        console.print_line("红\x1b")
        console.print_json({"prompt": "红\x1b\x9b\u202e"})
    plain, line, document = written.getvalue().decode(encoding).splitlines()
    is_unicode = encoding == "utf-8"
    assert plain == ("红 █░…" if is_unicode else r"\u7ea2 #.~")
    assert line == ("红\\x1b" if is_unicode else r"\u7ea2\x1b")
    assert json.loads(document) == {"prompt": "红\x1b\x9b\u202e"}
    assert ("红" in document) == is_unicode
    assert document.isprintable()


@contextmanager
def _pipe() -> Iterator[int]:
    """Standard output is a pipe; its reading end."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream, contextlib.redirect_stdout(stream):
        yield reading


def test_reader_that_is_gone_is_told_and_is_no_error() -> None:
    """What comes after goes nowhere."""
    with _pipe() as reading:
        os.close(reading)
        made = console.output()
        assert made.is_read
        made.print("a result")
        assert not made.is_read
        assert console.print_line("another one")
        made.print("and more")


def test_lines_and_json_tell_that_nobody_reads_them() -> None:
    """So that a command that goes on for ever can end."""
    with _pipe() as reading:
        assert console.print_json({})
        os.close(reading)
        assert not console.print_line("a result")


def test_results_on_a_full_disk_are_an_error() -> None:
    """They are what the command is for."""
    with open("/dev/full", "w", encoding="utf-8") as full, contextlib.redirect_stdout(full):
        with pytest.raises(SinkError, match="cannot write to standard output"):
            console.print_line("a result")
