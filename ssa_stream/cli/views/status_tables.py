"""The tables that `ssa-stream status` prints."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ssa_stream.cli.views.graph_status import GraphStatus, NodeStatus, StreamStatus
from ssa_stream.cli.views.source_words import source_text
from ssa_stream.protocols import Latency

__all__ = ["status_tables"]

_SEVERITY = {"info": "", "warning": "yellow", "error": "red"}


def status_tables(status: GraphStatus) -> RenderableType:
    """Streams, nodes and the last events of a graph."""
    shown: list[RenderableType] = [_streams(status), Text(), _nodes(status)]
    for event in status.events:
        where = event.about_node or event.stream or event.node
        shown.append(Text(f"{event.kind} {where}  {event.text}", style=_SEVERITY[event.severity]))
    return Group(*shown)


def _streams(status: GraphStatus) -> Table:
    table = _table("stream", "source", "size", "fps", "epoch", "frames", "dropped", "prompts")
    for name, stream in sorted(status.streams.items()):
        table.add_row(
            Text(name), *_source(stream), Text(_counts(status.dropped(name)) or "-"), Text(_prompts(stream) or "-")
        )
    return table


def _source(stream: StreamStatus) -> list[Text]:
    source = stream.source
    if source is None:
        return [Text("?")] * 5
    size = "-" if source.size is None else f"{source.size[1]}x{source.size[0]}"
    rate = "-" if source.rate_hz is None else f"{source.rate_hz:.1f}"
    return [source_text(source), Text(size), Text(rate), Text(str(source.epoch)), Text(str(source.next_index))]


def _prompts(stream: StreamStatus) -> str:
    prompts = () if stream.prompts is None else stream.prompts.prompts
    return "\n".join(f"{prompt.id}: {prompt.text}" for prompt in prompts)


def _nodes(status: GraphStatus) -> Table:
    table = _table("node", "state", "start", "steps", "step age", "queues", "latency p50/p95 ms", "dropped")
    for name, node in sorted(status.nodes.items()):
        table.add_row(Text(name), *_heartbeat(node), *_figures(node))
    return table


def _heartbeat(node: NodeStatus) -> list[Text]:
    beat = node.heartbeat
    if beat is None:
        return [Text("?")] * 5
    state = Text("ready", style="green") if beat.ready else Text("not ready", style="yellow")
    if beat.text:
        state.append(f" {beat.text}", style="")
    age = "-" if beat.step_age_s is None else f"{beat.step_age_s:.2f} s"
    queues = [f"{queue.name} {queue.depth}/{queue.capacity}" for queue in beat.queues]
    return [state, Text(str(beat.incarnation)), Text(str(beat.steps)), Text(age), Text(", ".join(queues) or "-")]


def _figures(node: NodeStatus) -> list[Text]:
    figures = node.statistics
    if figures is None:
        return [Text("-")] * 2
    drops: dict[str, int] = {}
    for drop in figures.drops:
        drops[drop.reason] = drops.get(drop.reason, 0) + drop.count
    return [Text("\n".join(map(_latency, figures.latencies)) or "-"), Text(_counts(drops) or "-")]


def _latency(latency: Latency) -> str:
    of = "" if latency.stream is None else f" {latency.stream}"
    return f"{latency.name}{of} {latency.p50_ms:.1f}/{latency.p95_ms:.1f}"


def _counts(drops: dict[str, int]) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in sorted(drops.items()) if count)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column)
    return table
