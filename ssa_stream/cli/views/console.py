"""What all commands write through: results to stdout, progress and errors to stderr."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from ssa_stream.input_warnings import InputWarning

__all__ = ["errors", "output", "print_error", "print_warning", "progress_bar", "status", "wide_output"]


def output() -> Console:
    """The console for results; made per call, so that it follows a redirected `sys.stdout`."""
    return Console(highlight=False)


def wide_output(shown: RenderableType) -> Console:
    """The console for results, made so wide that all columns of `shown` fit: cut-off figures help nobody."""
    console = output()
    console.width = max(console.width, console.measure(shown, options=console.options.update(width=1000)).maximum)
    return console


def errors() -> Console:
    """The console for progress and errors, on stderr."""
    return Console(stderr=True, highlight=False)


def print_error(message: str) -> None:
    """Print one error in red on stderr; a message that came in several lines keeps them."""
    errors().print(f"[bold red]error:[/] [red]{escape(message)}[/]", soft_wrap=True)


def print_warning(warning: InputWarning | str, console: Console | None = None) -> None:
    """Print one line about an incomplete input in yellow, on stderr unless told where."""
    (console or errors()).print(f"[bold yellow]warning:[/] [yellow]{escape(str(warning))}[/]", soft_wrap=True)


@contextmanager
def status(text: str) -> Iterator[None]:
    """Show a spinner with `text` on stderr while a step of unknown length runs; nothing when it is no terminal."""
    console = errors()
    if not console.is_terminal:
        yield
        return
    with console.status(escape(text)):
        yield


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A progress display on stderr for steps that can be counted; nothing when it is no terminal."""
    console = errors()
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield progress
