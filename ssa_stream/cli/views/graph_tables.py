"""What `ssa-stream status` and `ssa-stream top` show: streams, nodes and the last events of a running graph."""

from typing import Any

import msgspec
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ssa_stream.cli.views.console import shown
from ssa_stream.cli.views.fitted_table import FittedTable
from ssa_stream.cli.views.source_words import source_text
from ssa_stream.client.graph_state import GraphState, NodeStatus, StreamStatus
from ssa_stream.client.mask_figures import PromptFigures
from ssa_stream.protocols import Event, Heartbeat, Latency, SourceState, Statistics
from ssa_stream.rates import rate_text

__all__ = ["status_mapping", "status_tables", "top_view"]

_ROLES = ("ingest", "encoder", "queries", "decoder", "masks", "control", "gateway")
_BAR_CELLS = 8
_FINGERPRINT = 12
_SLOW_S, _STUCK_S = 1.0, 5.0
_LATE_MS, _VERY_LATE_MS = 200.0, 500.0


def status_tables(graph: GraphState, now_ns: int) -> RenderableType:
    """Streams, nodes and the last events of a graph; tables as wide as what they hold.

    Args:
        graph: What it said.
        now_ns: On this machine's monotonic clock.
    """
    streams = _table("stream", "source", "size", "fps in", "fps out", "epoch", "frames", "dropped", "prompts")
    for name, stream in sorted(graph.streams.items()):
        streams.add_row(
            shown(name),
            *_source_and_frames(stream, _masks_hz(graph, name, now_ns, graph.masked_per_s(name, now_ns))),
            shown(_counts(graph.dropped(name)) or "-"),
            shown(_prompts(stream) or "-"),
        )
    nodes = _table("node", "state", "start", "steps", "busy", "step age", "queues", "latency p50/p95 ms", "dropped")
    for name, node in sorted(graph.nodes.items()):
        state, start, steps, *rest = _steps(node.heartbeat)
        figures = _latencies_and_drops(node.statistics, is_of_now=node.is_telling(now_ns))
        nodes.add_row(shown(name), state, start, steps, _busy(node, now_ns), *rest, *figures)
    events = [shown(_event(event), style=_style(event, info="")) for event in graph.events]
    return Group(streams, *_overloads(graph, now_ns), Text(), nodes, *_weights(graph), *events)


def status_mapping(graph: GraphState, now_ns: int) -> dict[str, Any]:
    """The same as plain values; messages with the names that docs/protocol.md describes."""
    return {
        "streams": {
            name: {
                "source": _plain(stream.source),
                "prompts": _plain(stream.prompts),
                "dropped": graph.dropped(name),
                "masks_hz": round(_masks_hz(graph, name, now_ns, graph.masked_per_s(name, now_ns)), 3),
                "overload": graph.overload(name, now_ns),
            }
            for name, stream in sorted(graph.streams.items())
        },
        "nodes": {
            name: {
                "heartbeat": _plain(node.heartbeat),
                "statistics": _plain(node.statistics),
                "busy": {part: round(share, 3) for part, share in node.busy(now_ns).items()},
            }
            for name, node in sorted(graph.nodes.items())
        },
        "events": [_plain(event) for event in graph.events],
    }


def top_view(graph: GraphState, *, now_ns: int, header: str, is_heard: bool = True) -> RenderableType:
    """Streams with their prompts, nodes with their queues, the last events; lines are cut where they do not fit.

    Names of streams, prompts and nodes are the last to be cut.

    Args:
        graph: What it said.
        now_ns: On this machine's monotonic clock.
        header: First line.
        is_heard: Whether the graph has said anything lately.
    """
    top = shown(header, style="bold")
    if not is_heard:
        top.append("   nothing comes; waiting for it", style="bold red")
    events = [_one_line(_event(event), _style(event, info="dim")) for event in graph.events]
    streams, nodes = _streams_with_rates(graph, now_ns, is_heard), _nodes_with_rates(graph, now_ns)
    overloads = _overloads(graph, now_ns)
    return Group(top, Text(), streams, *overloads, Text(), nodes, *_weights(graph), Text(), *events)


def _overloads(graph: GraphState, now_ns: int) -> list[Text]:
    """A line for each stream that is overloaded."""
    told = ((name, graph.overload(name, now_ns)) for name in sorted(graph.streams))
    return [shown(f"{name}: {text}", "yellow") for name, text in told if text]


def _weights(graph: GraphState) -> list[Text]:
    """Which weights the nodes have: one line, as they are the same everywhere; more while a graph takes others."""
    found: dict[str, list[str]] = {}
    for name, node in sorted(graph.nodes.items(), key=_order):
        weights = None if node.heartbeat is None else node.heartbeat.weights
        if isinstance(weights, str):
            found.setdefault(weights, []).append(name)
    if len(found) == 1:
        return [_one_line(f"weights {next(iter(found))[:_FINGERPRINT]}", "")]
    return [
        _one_line(f"weights {weights[:_FINGERPRINT]}: {', '.join(names)}", "yellow") for weights, names in found.items()
    ]


def _one_line(text: str, style: str) -> Text:
    line = shown(text, style)
    line.no_wrap = True
    return line


def _plain(message: msgspec.Struct | None) -> Any:
    return None if message is None else msgspec.to_builtins(message)


def _streams_with_rates(graph: GraphState, now_ns: int, is_heard: bool) -> FittedTable:
    table = FittedTable(
        "stream", "source", "size", "fps in", "fps out", "objects", "score", "mask age", "dropped",
        cut="source", least=12, dispensable=("size", "score", "dropped", "objects", "fps in"),
    )  # fmt: skip
    for name, stream in sorted(graph.streams.items()):
        source = [Text("?"), Text("-"), Text("-")] if stream.source is None else _source(stream.source, is_heard)
        out = Text(rate_text(_masks_hz(graph, name, now_ns, graph.masks.frames_per_s(name, now_ns))))
        table.add_row(shown(name, style="bold"), *source, out, "", "", "", shown(_counts(graph.dropped(name)) or "-"))
        came = graph.masks.prompts(name)
        for prompt in () if stream.prompts is None else stream.prompts.prompts:
            table.add_row(
                shown(f"  {prompt.id}"),
                shown(prompt.text, style="italic"),
                "",
                "",
                "",
                *_masks(came.get(prompt.id), now_ns),
                "",
            )
    return table


def _nodes_with_rates(graph: GraphState, now_ns: int) -> FittedTable:
    table = FittedTable(
        "node", "state", "start", "steps/s", "busy", "step age", "queue", "p50/p95 ms", "drops/s",
        cut="state", least=9, dispensable=("start", "p50/p95 ms", "drops/s", "steps/s", "queue"),
    )  # fmt: skip
    for name, node in sorted(graph.nodes.items(), key=_order):
        steps, drops = node.steps_per_s(now_ns), node.drops_per_s(now_ns)
        found = node.statistics.latencies if node.statistics is not None and node.is_telling(now_ns) else ()
        state, start, rate, *rest = _step_rate(node.heartbeat, "-" if steps is None else f"{steps:.1f}")
        table.add_row(
            shown(name),
            state,
            start,
            rate,
            _busy(node, now_ns),
            *rest,
            Text(", ".join(f"{one.p50_ms:.0f}/{one.p95_ms:.0f}" for one in found) or "-"),
            Text("-" if drops is None else f"{drops:.1f}", style="yellow" if drops else ""),
        )
    return table


def _order(item: tuple[str, NodeStatus]) -> tuple[int, str]:
    role = item[0].partition("-")[0]
    return _ROLES.index(role) if role in _ROLES else len(_ROLES), item[0]


def _source(source: SourceState, is_heard: bool = True) -> list[Text]:
    """Source, size and frame rate, which is not known of a graph that says nothing."""
    size = "-" if source.size is None else f"{source.size[1]}x{source.size[0]}"
    return [source_text(source), Text(size), Text(f"{source.rate_hz or 0:.1f}" if is_heard else "-")]


def _masks_hz(graph: GraphState, stream: str, now_ns: int, measured_hz: float) -> float:
    """Pictures with masks per second: what the text of an overload says, too, or else what was measured here."""
    told_hz = graph.masks_hz(stream, now_ns)
    return measured_hz if told_hz is None else told_hz


def _source_and_frames(stream: StreamStatus, masks_hz: float) -> list[Text]:
    source = stream.source
    if source is None:
        return [Text("?")] * 6
    return [*_source(source), Text(rate_text(masks_hz)), Text(str(source.epoch)), Text(str(source.next_index))]


def _busy(node: NodeStatus, now_ns: int) -> Text:
    """Share of the time in which a node works, such as `40 %`; of several parts `40 %, outputs 3 %`."""
    role = "" if node.statistics is None else node.statistics.role
    shares = {part: f"{100 * share:.0f} %" for part, share in node.busy(now_ns).items()}
    return shown(", ".join(text if part == role else f"{part} {text}" for part, text in shares.items()) or "-")


def _prompts(stream: StreamStatus) -> str:
    if stream.prompts is None:
        return ""
    version = f"version {stream.prompts.version}" if stream.prompts.version else ""
    lines = [f"{prompt.id}: {prompt.text}" for prompt in stream.prompts.prompts]
    return "\n".join(line for line in (*lines, version) if line)


def _masks(figures: PromptFigures | None, now_ns: int) -> list[Text]:
    """Objects, score and age of the masks of a prompt, while any come."""
    if figures is None or figures.rate.rate_hz(now_ns) == 0:
        return [Text("-")] * 3
    score = "-" if figures.score is None else f"{figures.score:.2f}"
    age = Text("?") if figures.age_ms is None else _graded(figures.age_ms, _LATE_MS, _VERY_LATE_MS, "{:.0f} ms")
    return [Text(str(figures.objects)), Text(score), age]


def _steps(beat: Heartbeat | None) -> list[Text]:
    """State, number of the start, steps, age of the step and queues of a node."""
    if beat is None:
        return [Text("?")] * 5
    age = "-" if beat.step_age_s is None else f"{beat.step_age_s:.2f} s"
    queues = [f"{queue.name} {queue.depth}/{queue.capacity}" for queue in beat.queues]
    state = _state(beat, not_ready="yellow")
    return [state, Text(str(beat.incarnation)), Text(str(beat.steps)), Text(age), shown(", ".join(queues) or "-")]


def _step_rate(beat: Heartbeat | None, steps: str) -> list[Text]:
    """The same with steps per second, and with bars for queues."""
    if beat is None:
        return [Text("?"), Text("-"), Text(steps), Text("-"), Text("-")]
    age = Text("-") if beat.step_age_s is None else _graded(beat.step_age_s, _SLOW_S, _STUCK_S, "{:.2f} s")
    bars = Text(" ").join(_bar(queue.depth, queue.capacity) for queue in beat.queues) if beat.queues else Text("-")
    return [_state(beat, not_ready="bold red"), Text(str(beat.incarnation)), Text(steps), age, bars]


def _state(beat: Heartbeat, *, not_ready: str) -> Text:
    state = Text("ready", style="green") if beat.ready else Text("not ready", style=not_ready)
    if beat.text:
        state.append(shown(f" {beat.text}"))
    return state


def _bar(depth: int, capacity: int) -> Text:
    share = min(1.0, depth / capacity) if capacity else 0.0
    cells = round(share * _BAR_CELLS)
    style = "red" if share >= 1.0 else "yellow" if share > 0.5 else "green"
    return Text.assemble(("█" * cells, style), ("░" * (_BAR_CELLS - cells), "dim"), f" {depth}/{capacity}")


def _latencies_and_drops(figures: Statistics | None, *, is_of_now: bool) -> list[Text]:
    if figures is None:
        return [Text("-")] * 2
    drops: dict[str, int] = {}
    for drop in figures.drops:
        drops[drop.reason] = drops.get(drop.reason, 0) + drop.count
    latencies = "\n".join(map(_latency, figures.latencies if is_of_now else ()))
    return [shown(latencies or "-"), shown(_counts(drops) or "-")]


def _latency(latency: Latency) -> str:
    of = "" if latency.stream is None else f" {latency.stream}"
    return f"{latency.name}{of} {latency.p50_ms:.1f}/{latency.p95_ms:.1f}"


def _counts(drops: dict[str, int]) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in sorted(drops.items()) if count)


def _event(event: Event) -> str:
    return f"{event.kind} {event.about_node or event.stream or event.node}  {event.text}"


def _style(event: Event, *, info: str) -> str:
    return {"info": info, "warning": "yellow", "error": "red"}[event.severity]


def _graded(value: float, high: float, very_high: float, form: str) -> Text:
    style = "bold red" if value >= very_high else "yellow" if value >= high else ""
    return Text(form.format(value), style=style)


def _table(*columns: str) -> Table:
    return Table(*columns, box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
