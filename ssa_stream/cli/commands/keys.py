"""`ssa-stream keys`: who may connect to a graph from other machines."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ssa_stream.cli.views.console import output

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Make the keys with which a graph lets in known clients from other machines, and nobody else.",
    epilog="Without keys a graph can be reached from its own machine only.",
)

Folder = Annotated[
    Path, typer.Argument(metavar="DIR", help="Folder of the graph's keys; it holds secrets.", show_default=False)
]


@app.command()
def init(
    folder: Folder,
    client: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A client that may connect. Repeat it for several. [default: client]"),
    ] = None,
) -> None:
    """Make the keys of a graph and of its first clients, and tell how they are used. Overwrites nothing.

    ssa-stream keys init keys --client robot --client desk
    """
    from ssa_stream.keys import add_client, make_keys

    make_keys(folder)
    made = [add_client(folder, name) for name in client or ["client"]]
    console = output()
    _print_lines(console, f"made the keys of a graph in {folder}; its secret, server.key_secret, stays on this machine")
    _print_lines(console, "", "start the graph with them:")
    _print_lines(console, f"    ssa-stream up PIPELINE --keys {folder} --publish tcp://*:5555 --requests tcp://*:5556")
    for path in made:
        _print_client(console, path)
    _print_lines(console, "", f"add a client:     ssa-stream keys add {folder} NAME      (no restart is needed)")
    _print_lines(console, f"lock one out:     rm {folder / 'allowed'}/NAME.key      (from its next connection on)")


@app.command()
def add(
    folder: Folder,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the client, for you.", show_default=False)],
) -> None:
    """Make the keys of one more client. A running graph lets it in at once."""
    from ssa_stream.keys import add_client

    _print_client(output(), add_client(folder, name))


@app.command("list")
def list_clients(folder: Folder) -> None:
    """List the clients that may connect, with their public keys."""
    from ssa_stream.keys import ServerKeys

    for key, name in ServerKeys.load(folder).allowed().items():
        _print_lines(output(), f"{name:<20} {key.decode()}")


def _print_client(console: Console, path: Path) -> None:
    _print_lines(
        console,
        "",
        f"client {path.name}: copy the folder {path} to its machine, over a channel that you trust, and use it:",
        f"    ssa-stream watch --keys {path.name} --address tcp://HOST:5555",
        f'    masks("tcp://HOST:5555", keys="{path.name}")      # Python: from ssa_stream.client import masks',
    )


def _print_lines(console: Console, *lines: str) -> None:
    for line in lines:
        console.print(line, soft_wrap=True)
