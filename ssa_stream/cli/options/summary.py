"""Options of every command that ends with a summary: where it goes as JSON, and whether warnings are errors."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from ssa_stream.cli.views.console import notice, print_json
from ssa_stream.errors import SinkError
from ssa_stream.files import write_report
from ssa_stream.standard_streams import lines_lost

__all__ = ["JsonFile", "Strict", "write_json", "write_or_print"]

_PANEL = "Output"

JsonFile = Annotated[
    str | None,
    typer.Option(
        "--json", metavar="FILE", help="Write the summary as JSON; - is standard output.", rich_help_panel=_PANEL
    ),
]
Strict = Annotated[
    bool,
    typer.Option(
        "--strict",
        help="End with exit code 1 if the input was incomplete: a file that is cut off, a prompt that is too long or "
        "has words that the checkpoint does not know.",
        rich_help_panel=_PANEL,
    ),
]


def write_json(summary: Mapping[str, object], target: str, *, overwrite: bool) -> None:
    """Write a summary to a file, or to standard output for `-`, and how many lines of log and view were lost.

    Raises:
        SinkError: It cannot be written.
    """
    summary = {**summary, "log_lines_lost": lines_lost()}
    if target == "-":
        print_json(summary, indent=2)
    else:
        write_or_print(target, json.dumps(summary, indent=2) + "\n", overwrite=overwrite)


def write_or_print(target: str | Path, text: str, *, overwrite: bool, option: str = "--json") -> None:
    """Write a report to a file; where that fails, to stderr: what took hours must not be lost at its end.

    Args:
        target: The file.
        text: Its content.
        overwrite: Whether it may be there already.
        option: What names the file, for the error.

    Raises:
        SinkError: It was not written to the file.
    """
    try:
        write_report(target, text, overwrite=overwrite)
    except OSError as error:
        notice(text, event="report")
        raise SinkError(
            f"cannot write {target} ({error.strerror or error}); its content is printed above. Give another file with "
            f"{option}"
        ) from error
