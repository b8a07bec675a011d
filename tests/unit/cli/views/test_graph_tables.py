"""What `ssa-stream status` and `ssa-stream top` show of what is published."""

import io
import json
from typing import Any

import pytest
from rich.console import Console, RenderableType

from ssa_stream.cli.views.graph_tables import status_mapping, status_tables, top_view
from ssa_stream.client.graph_state import GraphState
from ssa_stream.protocols import (
    AnyMessage,
    AppliesFrom,
    BusyTime,
    DropCount,
    Event,
    Heartbeat,
    Latency,
    Prompt,
    PromptState,
    QueueDepth,
    Statistics,
    StreamLoad,
)
from tests.support.mask_messages import mask_parts, mask_view
from tests.support.scripted_nodes import heartbeat, source_state, statistics

SECOND = 1_000_000_000
SOURCE = source_state(epoch=3, size=(360, 640), rate_hz=29.97, next_index=77, address="[camera]")
PROMPTS = PromptState(
    stream="cam0",
    prompts=(Prompt(id="p1", text="the [red] cup", version=1), Prompt(id="p2", text="a dog", version=2)),
    version=2,
    applies_from=AppliesFrom(epoch=0, seq=0),
)
LOST = Event(
    kind="node_lost",
    node="control",
    at_ns=0,
    clock="monotonic:x",
    about_node="ingest-cam0",
    text="killed",
    severity="warning",
)


def _beat(node: str, *, depth: int = 1, **fields: Any) -> Heartbeat:
    queues = (QueueDepth(name="inbox", depth=depth, capacity=4),)
    return heartbeat(node, **{"step_age_s": 0.25, "steps": 41, "queues": queues} | fields)


def _statistics(node: str, stale: int = 3) -> Statistics:
    return statistics(
        node,
        drops=(
            DropCount(stream="cam0", reason="stale", count=stale),
            DropCount(stream="cam0", reason="gap", count=0),
        ),
        latencies=(Latency(name="step", count=9, p50_ms=12.34, p95_ms=45.6, p99_ms=50, max_ms=60),),
    )


def _printed(shown: RenderableType, width: int = 200) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(shown)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def _graph(*messages: AnyMessage) -> GraphState:
    graph = GraphState()
    for message in messages:
        graph.take(message, now_ns=10 * SECOND)
    return graph


def _status(*messages: AnyMessage) -> RenderableType:
    return status_tables(_graph(*messages), 10 * SECOND)


def _top(*messages: AnyMessage, is_heard: bool = True, width: int = 160) -> str:
    shown = top_view(_graph(*messages), now_ns=10 * SECOND, header="HEADER", is_heard=is_heard)
    return _printed(shown, width=width)


def test_status_shows_streams_nodes_and_events() -> None:
    """Text of others is shown as it is, brackets and all."""
    text = _printed(
        _status(
            SOURCE,
            PROMPTS,
            _beat("encoder-0"),
            _statistics("encoder-0"),
            _beat("ingest-cam0", ready=False, text="lost: signal 9"),
            _statistics("ingest-cam0"),
            LOST,
        )
    )
    for shown in ("running [camera]", "640x360", "30.0", "77", "p1: the [red] cup", "p2: a dog", "stale 3"):
        assert shown in text
    for shown in ("ready", "not ready lost: signal 9", "0.25 s", "inbox 1/4", "step 12.3/45.6", "41"):
        assert shown in text
    assert "node_lost ingest-cam0  killed" in text


def test_status_shows_what_is_not_known_as_such() -> None:
    """A node that has not said anything but figures, a stream without a source."""
    assert "?" in _printed(_status(PROMPTS, _statistics("encoder-0")))


def test_weights_are_one_line_while_they_are_the_same() -> None:
    """And a line each with their nodes while a graph takes others."""
    same = [heartbeat(name, weights="a09bf6104d820b5af88372568eb0") for name in ("encoder-0", "queries-0")]
    for shown in (_status(*same), top_view(_graph(*same), now_ns=0, header="HEADER")):
        lines = [line.strip() for line in _printed(shown).splitlines() if line.startswith("weights")]
        assert lines == ["weights a09bf6104d82"]
    text = _printed(_status(*same, heartbeat("decoder-0", weights="random-1")))
    assert "weights a09bf6104d82: encoder-0, queries-0" in text
    assert "weights random-1: decoder-0" in text


def test_mapping_can_be_written_as_json() -> None:
    """With the names of the protocol."""
    graph = _graph(source_state(next_index=77), heartbeat("encoder-0"), LOST)
    found = json.loads(json.dumps(status_mapping(graph, 10 * SECOND)))
    assert found["streams"]["cam0"]["source"]["next_index"] == 77
    assert found["nodes"]["encoder-0"]["heartbeat"]["ready"] is True
    assert found["events"][0]["kind"] == "node_lost"


def test_top_shows_streams_prompts_and_nodes() -> None:
    """With what each does."""
    text = _top(
        mask_view(mask_parts()).message,
        SOURCE,
        PROMPTS,
        _beat("encoder-0", at_ns=0, steps=0),
        _beat("encoder-0", at_ns=SECOND, steps=20, depth=3),
        _statistics("encoder-0", stale=7),
        LOST,
    )
    shown = ("HEADER", "running [camera]", "640x360", "30.0", "the [red] cup", "0.90", "stale 7", "20.0", "0.25 s")
    for part in shown:
        assert part in text
    assert "██████░░ 3/4" in text
    assert "12/46" in text
    assert "node_lost ingest-cam0  killed" in text


def test_top_tells_that_a_graph_has_fallen_silent() -> None:
    """What was last known stays on the screen."""
    text = _top(SOURCE, is_heard=False)
    assert "nothing comes; waiting for it" in text
    assert "cam0" in text


@pytest.mark.parametrize(("width", "shows"), [(60, "mask age"), (80, "objects"), (120, "dropped")])
def test_top_keeps_names_on_a_narrow_terminal(width: int, shows: str) -> None:
    """Lines are cut, not folded, and the sources give way, not the names; what matters less is left out."""
    stream = "the-camera-at-the-back-door"
    prompt = Prompt(id="intruder-1", text="a person with a bag who runs away " * 3, version=1)
    text = _top(
        source_state(stream, address="rtsp://camera-17.example/" + "x" * 200, size=(1080, 1920), rate_hz=25.0),
        PromptState(stream=stream, prompts=(prompt,), version=1, applies_from=AppliesFrom(epoch=0, seq=0)),
        _beat(f"ingest-{stream}", ready=False, text="connecting to the camera"),
        _statistics(f"ingest-{stream}"),
        width=width,
    )
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    starts = {line.split()[0]: line.split()[1] for line in lines if len(line.split()) > 1}
    assert (starts[stream], starts["intruder-1"], starts[f"ingest-{stream}"]) == ("running", "a", "not")
    assert shows in text
    assert "…" in text


def test_figures_of_a_graph_that_is_silent_are_not_shown() -> None:
    """Rates fall to 0, and what was measured while there was work is a dash; a source of nothing has no rate."""
    graph = _graph(SOURCE, PROMPTS, _beat("encoder-0"), _statistics("encoder-0"))
    graph.take(mask_view(mask_parts(prompt="p1")).message, now_ns=10 * SECOND)
    for now_ns, is_heard, age in ((10 * SECOND, True, "12/46"), (20 * SECOND, False, "-")):
        text = _printed(top_view(graph, now_ns=now_ns, header="HEADER", is_heard=is_heard), width=160)
        assert ("30.0" in text) == is_heard
        assert age in text
        assert ("0.90" in text) == is_heard
    assert "12.3/45.6" not in _printed(status_tables(graph, 20 * SECOND))


def test_overload_and_busy_shares_are_shown() -> None:
    """By top and status, with the stream's name."""
    text = "overloaded: 15 pictures/s come, 0.056/s get masks"
    load = StreamLoad(stream="cam0", at_ns=0, clock="monotonic:x", masks_hz=0.0561, stage="masks", text=text)
    graph = _graph(SOURCE, load, heartbeat("masks-0"))
    for at_s in range(3):
        work = (BusyTime(name="masks", seconds=0.4 * at_s), BusyTime(name="outputs", seconds=0.03 * at_s))
        graph.take(statistics("masks-0", at_ns=at_s * SECOND, busy=work), now_ns=10 * SECOND)
    shown = (status_tables(graph, 10 * SECOND), top_view(graph, now_ns=10 * SECOND, header="HEADER"))
    for lines in (_printed(one).splitlines() for one in shown):
        assert f"cam0: {text}" in lines
        assert any("0.056" in line and "cam0: " not in line for line in lines), lines  # the column `fps out`
        assert any("outputs 3 %" in line for line in lines)
    mapping = status_mapping(graph, 10 * SECOND)
    assert mapping["streams"]["cam0"]["overload"] == text
    assert mapping["nodes"]["masks-0"]["busy"] == {"masks": 0.4, "outputs": 0.03}
