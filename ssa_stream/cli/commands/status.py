"""`ssa-stream status`: the state of the streams and nodes of a running graph."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from ssa_stream.cli.options.graph import FirstMessageTimeout, Keys, PublishAddress
from ssa_stream.cli.options.logs import LogFormatOption, LogLevelOption, use_log_options
from ssa_stream.cli.views.console import output, print_json, wide_output
from ssa_stream.cli.views.terminal import Interrupts

if TYPE_CHECKING:
    from ssa_stream.client import UpdateSubscription
    from ssa_stream.client.graph_state import GraphState

__all__ = ["status"]

_GATHER_S = 0.5
"""States that a graph has kept come at once; this is for slow machines."""
_REFRESH_S = 0.5


def status(
    address: PublishAddress = "tcp://127.0.0.1:5555",
    keys: Keys = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on and show changes, until Ctrl-C.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object; with --watch one per line, each half second.")
    ] = False,
    timeout_s: FirstMessageTimeout = 5.0,
    log_format: LogFormatOption = "text",
    log_level: LogLevelOption = "info",
) -> None:
    """Show the streams of a running graph (source, rate, prompts, drops) and its nodes (ready, queues, latencies).

    Step age is how long a node has been at its present step; a node that hangs is noticed by it and started again.
    Dropped frames are counted by reason: stale ones were too old, overtaken ones made room for newer ones.
    """
    use_log_options("status", log_format, log_level)

    from ssa_stream.client import UpdateSubscription
    from ssa_stream.client.graph_state import GraphState

    graph = GraphState()
    with Interrupts() as interrupts, UpdateSubscription(address, timeout_s=timeout_s, keys=keys) as subscribed:
        first = interrupts.cut_short(lambda: next(subscribed))
        if first is not None:
            graph.take(first.message, time.monotonic_ns())
            interrupts.cut_short(lambda: _gather(subscribed, graph, _GATHER_S))
        if watch:
            _watch(subscribed, graph, interrupts, as_json)
        elif not interrupts.requested:
            _print(graph, as_json)


def _gather(subscribed: "UpdateSubscription", graph: "GraphState", duration_s: float) -> bool:
    """Take in what is published for a while; False if that is nothing at all."""
    end_s, came = time.monotonic() + duration_s, False
    while (left_s := end_s - time.monotonic()) > 0:
        update = subscribed.next(left_s)
        if update is not None:
            graph.take(update.message, time.monotonic_ns())
            came = True
    return came


def _watch(subscribed: "UpdateSubscription", graph: "GraphState", interrupts: Interrupts, as_json: bool) -> None:
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    from ssa_stream.cli.views.graph_tables import status_tables

    console = output()
    if as_json or not console.is_terminal:  # where nothing can be drawn over, each look is printed
        while not interrupts.requested and _print(graph, as_json):
            interrupts.cut_short(lambda: _gather(subscribed, graph, _REFRESH_S))
        return
    with Live(status_tables(graph, time.monotonic_ns()), console=console, auto_refresh=False) as live:
        while console.is_read and not interrupts.requested:
            is_heard = interrupts.cut_short(lambda: _gather(subscribed, graph, _REFRESH_S)) is not False
            lost = Text(f"nothing comes from {subscribed.address}; waiting for it", style="bold red")
            live.update(
                status_tables(graph, time.monotonic_ns())
                if is_heard
                else Group(status_tables(graph, time.monotonic_ns()), lost),
                refresh=True,
            )


def _print(graph: "GraphState", as_json: bool) -> bool:
    """Print it; False once nobody reads it any more."""
    from ssa_stream.cli.views.graph_tables import status_mapping, status_tables

    if as_json:
        return print_json(status_mapping(graph, time.monotonic_ns()))
    tables = status_tables(graph, time.monotonic_ns())
    console = wide_output(tables)
    console.print(tables)
    return console.is_read
