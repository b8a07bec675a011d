"""Options of every command that runs for long: how its log looks, and from which level on."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated

import typer

from ssa_stream.log_lines import LogFormat, LogLevel, use_log

__all__ = ["LogFormatOption", "LogLevelOption", "asks_for_json", "use_log_options"]

_FORMAT, _PANEL = "--log-format", "Log"

LogFormatOption = Annotated[
    LogFormat,
    typer.Option(
        _FORMAT,
        help="json: every line on standard error is one JSON object, for programs that collect logs. "
        "docs/operations.md has its keys.",
        rich_help_panel=_PANEL,
    ),
]
LogLevelOption = Annotated[
    LogLevel, typer.Option("--log-level", help="What is less important is left out.", rich_help_panel=_PANEL)
]


def use_log_options(command: str, log_format: LogFormat, log_level: LogLevel) -> None:
    """Log so from now on, under the name of the command until another one is chosen."""
    use_log(format=log_format, level=log_level, node=command)


def asks_for_json(arguments: Sequence[str]) -> bool:
    """Whether a command line asks for a log in JSON; known before it is parsed, as what is wrong with it is logged."""
    return any(
        argument == f"{_FORMAT}=json" or (argument == _FORMAT and following == "json")
        for argument, following in pairwise([*arguments, ""])
    )
