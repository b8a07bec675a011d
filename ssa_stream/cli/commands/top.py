"""`ssa-stream top`: streams and nodes of a running graph, live."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from ssa_stream.cli.options.graph import FirstMessageTimeout, Keys, PublishAddress
from ssa_stream.cli.options.logs import LogFormatOption, LogLevelOption, use_log_options
from ssa_stream.cli.views.console import output, wide_output
from ssa_stream.cli.views.terminal import Interrupts

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ssa_stream.client import MaskSubscription, UpdateSubscription
    from ssa_stream.protocols import AnyMessage

__all__ = ["top"]

_ONCE_S = 2.5
"""Long enough for two heartbeats and two statistics, of which rates are made."""
_SILENT_S = 3.0
_QUIT = "qQ"


def top(
    address: PublishAddress = "tcp://127.0.0.1:5555",
    keys: Keys = None,
    interval_s: Annotated[
        float, typer.Option("--interval", "-n", min=0.1, max=60, metavar="SECONDS", help="Time between two looks.")
    ] = 0.5,
    once: Annotated[
        bool, typer.Option("--once", help="Look for a moment, print and end; what a pipe gets anyhow.")
    ] = False,
    timeout_s: FirstMessageTimeout = 5.0,
    log_format: LogFormatOption = "text",
    log_level: LogLevelOption = "info",
) -> None:
    """Show what a running graph does: frames, masks and their age by stream; steps, queues and delays by node.

    Press q to leave. It subscribes as a robot does, so that what it shows is what a robot gets. Queues that stay full
    and step ages that grow tell which node is too slow.
    """
    use_log_options("top", log_format, log_level)
    from ssa_stream.client import MaskSubscription, UpdateSubscription

    with (
        Interrupts() as interrupts,
        UpdateSubscription(address, timeout_s=timeout_s, keys=keys) as updates,
        MaskSubscription(address, keys=keys) as masks,
    ):
        watcher = _Watcher(updates, masks)
        is_once = once or not output().is_terminal
        interrupts.cut_short(watcher.wait_for_first)
        if is_once:
            interrupts.cut_short(lambda: watcher.gather(_ONCE_S))
        if interrupts.requested:
            return
        if is_once:
            shown = watcher.view()
            wide_output(shown).print(shown)
        else:
            _show(watcher, interrupts, interval_s)


class _Watcher:
    """Both subscriptions, and what they brought."""

    def __init__(self, updates: "UpdateSubscription", masks: "MaskSubscription") -> None:
        from ssa_stream.client.graph_state import GraphState

        self._updates, self._masks = updates, masks
        self._graph = GraphState()
        self._began_s = self._heard_s = time.monotonic()

    def wait_for_first(self) -> None:
        """Wait until the graph says anything.

        Raises:
            TransportError: It does not.
        """
        first = next(self._updates)
        self._take(first.message)

    def gather(self, duration_s: float) -> None:
        """Take in what comes for a while."""
        end_s = time.monotonic() + duration_s
        while (left_s := end_s - time.monotonic()) > 0:
            while (view := self._masks.next(0)) is not None:
                self._graph.take(view.message, time.monotonic_ns())
            update = self._updates.next(min(left_s, 0.05))
            if update is not None:
                self._take(update.message)

    def view(self) -> "RenderableType":
        """What there is now."""
        from ssa_stream.cli.views.graph_tables import top_view

        now_s = time.monotonic()
        minutes, seconds = divmod(int(now_s - self._began_s), 60)
        header = f"{self._updates.address}   watched for {minutes}:{seconds:02d}   q quits"
        is_heard = now_s - self._heard_s < _SILENT_S
        return top_view(self._graph, now_ns=time.monotonic_ns(), header=header, is_heard=is_heard)

    def _take(self, message: "AnyMessage") -> None:
        self._heard_s = time.monotonic()
        self._graph.take(message, time.monotonic_ns())


def _show(watcher: _Watcher, interrupts: Interrupts, interval_s: float) -> None:
    from rich.live import Live

    from ssa_stream.cli.views.terminal import Keyboard

    console = output()
    with Keyboard() as keyboard, Live(watcher.view(), console=console, screen=True, auto_refresh=False) as live:
        while console.is_read and not interrupts.requested and not set(keyboard.pressed()) & set(_QUIT):
            interrupts.cut_short(lambda: watcher.gather(interval_s))
            live.update(watcher.view(), refresh=True)
