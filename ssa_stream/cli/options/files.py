"""The option that lets a command replace files, and the files that options name, for `ssa_stream.outputs`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from ssa_stream.outputs import NamedPath

__all__ = ["Overwrite", "existing", "named"]

Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite",
        help="Replace output files that exist, once the new ones are complete. Without it they are refused.",
        rich_help_panel="Output",
    ),
]


def named(**paths: str | Path | None) -> list[NamedPath]:
    """Files by the options that name them, without those that are not given."""
    return [NamedPath(f"--{option.replace('_', '-')}", str(path)) for option, path in paths.items() if path is not None]


def existing(**paths: str | Path | None) -> list[NamedPath]:
    """Likewise, only those that are there: what is shipped has a name that is no file."""
    return [item for item in named(**paths) if os.path.exists(item.path)]
