"""What `ssa-stream top` draws."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ssa_stream.cli.views.graph_status import GraphStatus, NodeStatus, StreamStatus
from ssa_stream.cli.views.source_words import source_text
from ssa_stream.cli.views.top_rates import PromptFigures, Rates
from ssa_stream.protocols import Heartbeat, Statistics

__all__ = ["top_view"]

_SEVERITY = {"info": "dim", "warning": "yellow", "error": "red"}
_ROLES = ("ingest", "encoder", "queries", "decoder", "masks", "control", "gateway")
_BAR_CELLS = 8
_SLOW_S, _STUCK_S = 1.0, 5.0
_LATE_MS, _VERY_LATE_MS = 200.0, 500.0


def top_view(graph: GraphStatus, rates: Rates, *, now_ns: int, header: str, is_heard: bool = True) -> RenderableType:
    """Streams with their prompts, nodes with their queues, the last events.

    Args:
        graph: The newest of everything.
        rates: What changes.
        now_ns: On this machine's monotonic clock.
        header: First line.
        is_heard: Whether the graph has said anything lately.
    """
    top = Text(header, style="bold")
    if not is_heard:
        top.append("   nothing comes; waiting for it", style="bold red")
    shown: list[RenderableType] = [top, Text(), _streams(graph, rates, now_ns), Text(), _nodes(graph, rates), Text()]
    for event in graph.events:
        where = event.about_node or event.stream or event.node
        shown.append(Text(f"{event.kind} {where}  {event.text}", style=_SEVERITY[event.severity], no_wrap=True))
    return Group(*shown)


def _streams(graph: GraphStatus, rates: Rates, now_ns: int) -> Table:
    table = _table("stream", "source", "size", "fps in", "fps out", "objects", "score", "mask age", "dropped")
    for name, stream in sorted(graph.streams.items()):
        dropped = ", ".join(f"{reason} {count}" for reason, count in sorted(graph.dropped(name).items()))
        out = Text(f"{rates.masks_per_s(name, now_ns):.1f}")
        table.add_row(Text(name, style="bold"), *_source(stream), out, "", "", "", Text(dropped or "-"))
        came = rates.prompts(name)
        for prompt in () if stream.prompts is None else stream.prompts.prompts:
            table.add_row(
                Text(f"  {prompt.id}"), Text(prompt.text, style="italic"), "", "", "", *_prompt(came.get(prompt.id)), ""
            )
    return table


def _source(stream: StreamStatus) -> list[Text]:
    source = stream.source
    if source is None:
        return [Text("?"), Text("-"), Text("-")]
    size = "-" if source.size is None else f"{source.size[1]}x{source.size[0]}"
    return [source_text(source), Text(size), Text("-" if source.rate_hz is None else f"{source.rate_hz:.1f}")]


def _prompt(figures: PromptFigures | None) -> list[Text]:
    if figures is None:
        return [Text("-")] * 3
    score = "-" if figures.score is None else f"{figures.score:.2f}"
    age = Text("?") if figures.age_ms is None else _graded(figures.age_ms, _LATE_MS, _VERY_LATE_MS, "{:.0f} ms")
    return [Text(str(figures.objects)), Text(score), age]


def _nodes(graph: GraphStatus, rates: Rates) -> Table:
    table = _table("node", "state", "start", "steps/s", "step age", "queue", "p50/p95 ms", "drops/s")
    for name, node in sorted(graph.nodes.items(), key=_order):
        steps, drops = rates.steps_per_s(name), rates.drops_per_s(name)
        table.add_row(
            Text(name),
            *_heartbeat(node.heartbeat, "-" if steps is None else f"{steps:.1f}"),
            Text(_latencies(node.statistics)),
            Text("-" if drops is None else f"{drops:.1f}", style="yellow" if drops else ""),
        )
    return table


def _order(item: tuple[str, NodeStatus]) -> tuple[int, str]:
    role = item[0].partition("-")[0]
    return _ROLES.index(role) if role in _ROLES else len(_ROLES), item[0]


def _heartbeat(beat: Heartbeat | None, steps: str) -> list[Text]:
    if beat is None:
        return [Text("?"), Text("-"), Text(steps), Text("-"), Text("-")]
    state = Text("ready", style="green") if beat.ready else Text("not ready", style="bold red")
    if beat.text:
        state.append(f" {beat.text}", style="")
    age = Text("-") if beat.step_age_s is None else _graded(beat.step_age_s, _SLOW_S, _STUCK_S, "{:.2f} s")
    bars = Text(" ").join(_bar(queue.depth, queue.capacity) for queue in beat.queues) if beat.queues else Text("-")
    return [state, Text(str(beat.incarnation)), Text(steps), age, bars]


def _bar(depth: int, capacity: int) -> Text:
    share = min(1.0, depth / capacity) if capacity else 0.0
    cells = round(share * _BAR_CELLS)
    style = "red" if share >= 1.0 else "yellow" if share > 0.5 else "green"
    return Text.assemble(("█" * cells, style), ("░" * (_BAR_CELLS - cells), "dim"), f" {depth}/{capacity}")


def _latencies(figures: Statistics | None) -> str:
    found = () if figures is None else figures.latencies
    return ", ".join(f"{one.p50_ms:.0f}/{one.p95_ms:.0f}" for one in found) or "-"


def _graded(value: float, high: float, very_high: float, form: str) -> Text:
    style = "bold red" if value >= very_high else "yellow" if value >= high else ""
    return Text(form.format(value), style=style)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold reverse", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="ellipsis", no_wrap=True)
    return table
