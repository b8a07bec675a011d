"""What all commands write through: results to stdout, progress and errors to stderr.

Whatever is printed may have come from outside, so that nothing of it reaches the terminal but text: hidden characters
are written out (`ssa_stream.printable`), and square brackets are no markup, except where a command says so. What the
terminal's encoding lacks is written out, too.

What goes to stderr is a notice: a line for people, or where the log is JSON (`ssa_stream.log_lines`), an event of it.
What moves (bars, spinners, lines that are written anew) is shown on a terminal only, never in a log.

A reader of results that has seen enough, such as `head`, is no error: what comes after goes nowhere, and the command
ends as it would have. A disk that is full is one.
"""

import contextlib
import io
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.segment import Segment
from rich.text import Text

from ssa_stream.errors import SinkError
from ssa_stream.input_warnings import InputWarning
from ssa_stream.log_lines import LogLevel, is_logged, json_line, log_settings
from ssa_stream.printable import json_escaped, printable, printable_lines
from ssa_stream.standard_streams import READER_GONE, silence

__all__ = [
    "LOGGED_EVERY_S",
    "PrintableConsole",
    "ResultConsole",
    "errors",
    "moving_progress",
    "notice",
    "output",
    "print_error",
    "print_json",
    "print_line",
    "print_warning",
    "progress_bar",
    "shown",
    "shows_progress",
    "status",
    "wide_output",
]

LOGGED_EVERY_S = 600.0
"""How often work that takes hours says in a log how far it is, where nothing else is to be told."""

# Characters of our own and of rich's that a terminal without them gets another one for.
_PLAIN = str.maketrans({"█": "#", "░": ".", "…": "~", "•": "*"} | {chr(code): "*" for code in range(0x2800, 0x2900)})


def _encodable(text: str, encoding: str) -> str:
    """A text as a terminal of an encoding can show it."""
    if text.isascii() or _is_unicode(encoding):
        return text
    return text.translate(_PLAIN).encode(encoding, "backslashreplace").decode(encoding)


def _is_unicode(encoding: str) -> bool:
    return encoding.lower().startswith("utf")


class PrintableConsole(Console):
    """A console on which text is only text; what rich itself adds (colours, moves of the cursor) stays.

    Lines of text are never wrapped: a terminal does that itself, and in a file a line is a line.
    """

    def print(self, *objects: Any, soft_wrap: bool | None = None, **kwargs: Any) -> None:
        """As rich does, but lines of text stay whole where the caller does not say otherwise."""
        if soft_wrap is None:
            soft_wrap = all(isinstance(one, str | Text) for one in objects)
        super().print(*objects, soft_wrap=soft_wrap, **kwargs)

    def render_str(self, text: str, *args: Any, **kwargs: Any) -> Text:
        """Before rich, which would take some control characters away unseen."""
        return super().render_str(printable_lines(text), *args, **kwargs)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Everything that is printed comes through here, at whatever depth."""
        for segment in super().render(renderable, options):
            text = _encodable(printable_lines(segment.text), self.encoding)
            yield segment if segment.control else segment._replace(text=text)


class _Results(io.TextIOBase):
    """Standard output; a reader that is gone is noted, other failures are errors."""

    def __init__(self) -> None:
        self.is_read = True
        # While a live display is shown, rich lets `sys.stdout` lead back to its console.
        self._stream: TextIO = getattr(sys.stdout, "rich_proxied_file", sys.stdout)

    def write(self, text: str) -> int:
        with self._watched():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._watched():
            self._stream.flush()

    def close(self) -> None:
        """Nothing: Python closes what is no longer used, and standard output is not its own."""

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]  # an attribute there
        return self._stream.encoding or "utf-8"

    @contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.is_read = False
            with contextlib.suppress(OSError):  # not a real descriptor
                silence(self._stream.fileno())
            if error.errno not in READER_GONE:
                raise SinkError(f"cannot write to standard output ({error.strerror}); free some space") from error


class ResultConsole(PrintableConsole):
    """The console for results."""

    def __init__(self) -> None:
        self._results = _Results()
        file: Any = self._results  # rich uses what is in `_Results`, and asks for a whole text file
        super().__init__(file=file, highlight=False, markup=False, emoji=False)

    @property
    def is_read(self) -> bool:
        """False once the reader is gone."""
        return self._results.is_read


def output() -> ResultConsole:
    """The console for results; made per call, so that it follows a redirected `sys.stdout`."""
    return ResultConsole()


def wide_output(shown: RenderableType) -> ResultConsole:
    """The console for results, made so wide that all columns of `shown` fit: cut-off figures help nobody."""
    console = output()
    console.width = max(console.width, console.measure(shown, options=console.options.update(width=1000)).maximum)
    return console


def errors() -> PrintableConsole:
    """The console for progress and errors, on stderr."""
    force = False if log_settings().format == "json" else None
    return PrintableConsole(stderr=True, highlight=False, markup=False, emoji=False, force_terminal=force)


def shows_progress() -> bool:
    """Whether what moves can be shown: on a terminal, and not between JSON objects."""
    return log_settings().format == "text" and sys.stderr.isatty()


def notice(
    text: str | Text,
    *,
    event: str = "",
    level: LogLevel = "info",
    console: Console | None = None,
    **fields: object,
) -> None:
    """Tell on stderr what goes on, if that is important enough.

    Args:
        text: For people.
        event: Short and always the same, for programs; empty: the text is the event.
        level: How important it is.
        console: In place of that of stderr, such as one above a bar.
        fields: Figures of the event, in JSON only.
    """
    if not is_logged(level):
        return
    if log_settings().format == "text":
        (console or errors()).print(text, soft_wrap=True)
        return
    plain = text.plain if isinstance(text, Text) else text
    line = json_line(level, event or plain, **({"text": plain} if event else {}), **fields)
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


def shown(text: str, style: str = "") -> Text:
    """A text for a cell of a table, as it will be printed, so that the column is as wide as that."""
    return Text(printable_lines(text), style=style)


def print_line(line: str) -> bool:
    """Print a result of one line on stdout at once; False once nobody reads it any more.

    Raises:
        SinkError: It cannot be written, for another reason.
    """
    return _print(printable(line))


def print_json(value: Mapping[str, Any], *, indent: int | None = None) -> bool:
    """Print a JSON object on stdout at once; False once nobody reads it any more.

    Raises:
        SinkError: It cannot be written, for another reason.
    """
    is_unicode = _is_unicode(_Results().encoding)
    return _print(json_escaped(json.dumps(value, ensure_ascii=not is_unicode, indent=indent)))


def _print(text: str) -> bool:
    results = _Results()
    results.write(_encodable(f"{text}\n", results.encoding))
    results.flush()
    return results.is_read


def print_error(message: str) -> None:
    """Print one error in red on stderr; a message that came in several lines keeps them."""
    if log_settings().format == "json":
        notice(message, event="error", level="error")
        return
    errors().print(Text.assemble(("error:", "bold red"), " ", (printable_lines(message), "red")), soft_wrap=True)


def print_warning(warning: InputWarning | str, console: Console | None = None) -> None:
    """Print one line about an incomplete input in yellow, on stderr unless told where."""
    if log_settings().format == "json":
        if isinstance(warning, InputWarning):
            notice(warning.text, event="warning", level="warning", about=warning.about)
        else:
            notice(warning, event="warning", level="warning")
        return
    text = Text.assemble(("warning:", "bold yellow"), " ", (printable_lines(str(warning)), "yellow"))
    notice(text, level="warning", console=console)


@contextmanager
def status(text: str) -> Iterator[None]:
    """Show a spinner with `text` on stderr while a step of unknown length runs; nothing when it is no terminal."""
    if not shows_progress():
        yield
        return
    with errors().status(shown(text)):
        yield


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A progress display on stderr for steps that can be counted; nothing when it is no terminal."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with moving_progress(*columns, transient=True) as progress:
        yield progress


@contextmanager
def moving_progress(*columns: ProgressColumn, transient: bool = False) -> Iterator[Progress]:
    """A progress display of these columns on stderr; disabled when it is no terminal."""
    with Progress(*columns, console=errors(), transient=transient, disable=not shows_progress()) as progress:
        yield progress
