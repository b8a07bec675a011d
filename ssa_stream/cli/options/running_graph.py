"""Options of every command that talks to a running graph."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["Keys", "PublishAddress"]

PublishAddress = Annotated[
    str, typer.Option(metavar="ADDRESS", help="Where the graph publishes; it prints that when it is ready.")
]
Keys = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Keys of a client, for a graph that takes in known ones only; made by: ssa-stream keys add.",
    ),
]
