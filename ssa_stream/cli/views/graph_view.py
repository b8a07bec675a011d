"""What a running graph shows: a live line, the nodes' own lines and a summary on stderr, its health over HTTP."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn
from rich.text import Text

from ssa_stream.cli.views.console import errors, notice, print_warning, shows_progress
from ssa_stream.cli.views.model_words import ModelWords
from ssa_stream.cli.views.source_words import frame_counts, latency_words, source_words, speed_words
from ssa_stream.log_lines import LogLevel, is_logged, log_settings
from ssa_stream.nodes.runtime.logs import say
from ssa_stream.printable import printable

if TYPE_CHECKING:
    from ssa_stream.nodes.launcher import Graph, GraphReport

__all__ = ["GraphView", "print_graph_summary", "served_health"]

_REFRESH_S = 0.25


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
        if log_settings().format == "json":
            say(text)
        else:
            self._console.print(text, soft_wrap=True)

    def ready(self, graph: "Graph", lacking: Mapping[str, str]) -> None:
        """Tell that the graph is ready, where it can be reached, and what it still waits for.

        Args:
            graph: Bound.
            lacking: Why it is not all there: by `stream NAME` or `node NAME`; empty if it is.
        """
        if self._quiet:
            return
        publish, requests = graph.publish_address, graph.requests_address
        text = Text.assemble(("ready" if lacking else "ready:", "bold"))
        for what, why in lacking.items():
            wants = " for its source" if what.startswith("stream ") else ""
            verb = "has no pictures" if why.startswith("failed") else f"waits{wants}"
            text.append(f", but {what} {verb}: {printable(why)}", style="yellow")
        text.append(f"{';' if lacking else ''} masks at {publish}, requests at {requests}")
        event = "ready in part" if lacking else "ready"
        self._tell(
            text,
            event=event,
            level="warning" if lacking else "info",
            masks=publish,
            requests=requests,
            lacking=lacking,
        )

    def serving(self, url: str) -> None:
        """Tell where its health is served."""
        if not self._quiet:
            text = f"health at {url}/readyz, metrics at {url}/metrics"
            self._tell(text, event="health", url=url)

    @asynccontextmanager
    async def live(self, graph: "Graph") -> AsyncIterator[None]:
        """Show the figures in one live line; nothing where stderr is no terminal."""
        if self._quiet or not shows_progress():
            yield
            return
        columns = (SpinnerColumn(), TextColumn("{task.fields[figures]}", markup=False))
        with Progress(*columns, console=self._console, transient=True) as progress:
            showing = asyncio.create_task(self._show(graph, progress), name="live line")
            try:
                yield
            finally:
                showing.cancel()
                await asyncio.wait([showing])

    def _tell(self, text: str | Text, *, event: str, level: LogLevel = "info", **fields: object) -> None:
        notice(text, event=event, level=level, console=self._console, **fields)

    async def _show(self, graph: "Graph", progress: Progress) -> None:
        task = progress.add_task("graph", figures="starting")
        while True:
            await asyncio.sleep(_REFRESH_S)
            if graph.ready.is_set():
                progress.update(task, figures=_figures(graph.report))


def _figures(report: "GraphReport") -> str:
    restarts = sum(report.restarts.values())
    said = {name: source_words(source) for name, source in sorted(report.sources.items())}
    ended = sum(len(texts) for texts in report.outputs_failed.values())
    latency = latency_words(report.recent_latency_ms)
    return (
        f"frame {report.total_frames}  {report.recent_fps:5.1f} fps  latency {latency}  "
        f"dropped {report.dropped}{f'  restarts {restarts}' if restarts else ''}"
        + (f"  outputs ended {ended}" if ended else "")
        + (f"  overloaded: {', '.join(sorted(report.overloads))}" if report.overloads else "")
        + "".join(f"  {name} {words}" for name, words in said.items() if words.problem)
    )


def print_graph_summary(report: "GraphReport", words: ModelWords, console: Console | None = None) -> None:
    """Print the figures of a graph that has ended.

    Args:
        report: The figures.
        words: Of its checkpoint.
        console: Where to; None: stderr.
    """
    if not is_logged("info"):
        return
    if log_settings().format == "json":
        figures: Mapping[str, Any] = report.to_mapping()
        notice("done", event="summary", **figures)
        for warning in report.warnings:
            print_warning(warning)
        words.found(report.found)
        return
    console = console or errors()
    ended = "ended by a signal" if report.is_interrupted else "done"
    latencies_ms = report.latency_ms(50), report.latency_ms(95)
    # A graph may have waited for its sources for most of that time.
    speed = speed_words(report.total_frames, report.elapsed_s, report.fps, latencies_ms, " over the whole time")
    console.print(f"{ended}: {speed}, {report.dropped} dropped")
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
