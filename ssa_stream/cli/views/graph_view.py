"""What a running graph shows: a live line, the nodes' own lines and a summary on stderr, its health over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn
from rich.text import Text

from ssa_stream.cli.views.console import errors, print_warning
from ssa_stream.cli.views.model_words import ModelWords
from ssa_stream.cli.views.source_words import frame_counts, source_words

if TYPE_CHECKING:
    from ssa_stream.nodes.launcher import Graph, GraphReport

__all__ = ["GraphView", "print_graph_summary", "served_health"]

_REFRESH_S, _PLAIN_INTERVAL_S = 0.25, 5.0


class GraphView:
    """Shows a graph while it runs.

    Args:
        quiet: Show nothing but what the nodes themselves write.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._console = errors()
        self._quiet = quiet

    def line(self, text: str) -> None:
        """Show a line that a node wrote, its hidden characters written out."""
        self._console.print(text, soft_wrap=True)

    def ready(self, graph: "Graph") -> None:
        """Tell where the graph can be reached."""
        if self._quiet:
            return
        publish, requests = graph.publish_address, graph.requests_address
        where = f" masks at {publish}, requests at {requests}"
        self._console.print(Text.assemble(("ready:", "bold"), where), soft_wrap=True)

    def serving(self, url: str) -> None:
        """Tell where its health is served."""
        if not self._quiet:
            self._console.print(f"health at {url}/readyz, metrics at {url}/metrics", soft_wrap=True)

    @asynccontextmanager
    async def live(self, graph: "Graph") -> AsyncIterator[None]:
        """Show the figures: one live line on a terminal, a plain line every few seconds otherwise."""
        if self._quiet:
            yield
            return
        columns = (SpinnerColumn(), TextColumn("{task.fields[figures]}", markup=False))
        shows = self._console.is_terminal
        with Progress(*columns, console=self._console, transient=True, disable=not shows) as progress:
            showing = asyncio.create_task(self._show(graph, progress if shows else None), name="live line")
            try:
                yield
            finally:
                showing.cancel()
                await asyncio.wait([showing])

    async def _show(self, graph: "Graph", progress: Progress | None) -> None:
        task = progress.add_task("graph", figures="starting") if progress is not None else None
        while True:
            await asyncio.sleep(_PLAIN_INTERVAL_S if progress is None else _REFRESH_S)
            if not graph.ready.is_set():
                continue
            if progress is not None and task is not None:
                progress.update(task, figures=_figures(graph.report))
            else:
                self._console.print(_figures(graph.report), soft_wrap=True)


def _figures(report: "GraphReport") -> str:
    restarts = sum(report.restarts.values())
    said = {name: source_words(source) for name, source in sorted(report.sources.items())}
    ended = sum(len(texts) for texts in report.outputs_failed.values())
    return (
        f"frame {report.total_frames}  {report.recent_fps:5.1f} fps  latency {report.recent_latency_ms:.0f} ms  "
        f"dropped {report.dropped}{f'  restarts {restarts}' if restarts else ''}"
        + (f"  outputs ended {ended}" if ended else "")
        + "".join(f"  {name} {words}" for name, words in said.items() if words.problem)
    )


def print_graph_summary(report: "GraphReport", words: ModelWords, console: Console | None = None) -> None:
    """Print the figures of a graph that has ended.

    Args:
        report: The figures.
        words: Of its checkpoint.
        console: Where to; None: stderr.
    """
    console = console or errors()
    ended = "ended by a signal" if report.is_interrupted else "done"
    console.print(
        f"{ended}: {report.total_frames} frames in {report.elapsed_s:.1f} s = {report.fps:.1f} fps, latency p50 "
        f"{report.latency_ms(50):.0f} ms, p95 {report.latency_ms(95):.0f} ms, {report.dropped} dropped",
        soft_wrap=True,
    )
    console.print(frame_counts(report.read.total(), report.total_frames, report.drops))
    for node, count in sorted(report.restarts.items()):
        console.print(f"restarts of {node}: {count}")
    for milliseconds in report.prompt_to_mask_ms:
        console.print(f"prompt change to first masks: {milliseconds:.0f} ms")
    for stream, texts in report.outputs_failed.items():
        for text in texts:
            console.print(f"output of stream {stream} ended: {text}", soft_wrap=True, markup=False)
    for warning in report.warnings:
        print_warning(warning, console)
    words.found(report.found, console)


@asynccontextmanager
async def served_health(graph: "Graph", address: str | None, view: "GraphView") -> AsyncIterator[None]:
    """Serve the graph's health from before it is ready until it has ended.

    Args:
        graph: Not yet run.
        address: `HOST:PORT`; None serves nothing.
        view: Told where it is served.
    Raises:
        ConfigError: Other machines could reach the address.
        TransportError: It is taken.
    """
    if address is None:
        yield
        return
    from ssa_stream.nodes.health.server import HttpAddress, serve_health

    async with serve_health(HttpAddress.parse(address, insecure=graph.config.public.insecure), graph) as url:
        view.serving(url)
        yield
