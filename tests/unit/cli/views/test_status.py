"""What `ssa-stream status` makes of what is published."""

import io
import json

from rich.console import Console

from ssa_stream.cli.views.graph_status import GraphStatus
from ssa_stream.cli.views.status_tables import status_tables
from ssa_stream.protocols import (
    AnyMessage,
    AppliesFrom,
    DropCount,
    Event,
    Heartbeat,
    Latency,
    Prompt,
    PromptState,
    QueueDepth,
    Statistics,
    Topic,
)
from tests.support.scripted_nodes import source_state

CLOCK = "monotonic:x"


def _status(*messages: AnyMessage) -> GraphStatus:
    status = GraphStatus()
    for message in messages:
        status.note(Topic("cam0", "state"), message)
    return status


def _heartbeat(node: str, role: str, *, ready: bool = True, text: str = "") -> Heartbeat:
    return Heartbeat(
        node=node,
        role=role,
        incarnation=2,
        beat=0,
        at_ns=0,
        clock=CLOCK,
        ready=ready,
        step_age_s=0.25,
        steps=41,
        queues=(QueueDepth(name="inbox", depth=1, capacity=4),),
        text=text,
    )


def _statistics(node: str, role: str) -> Statistics:
    return Statistics(
        node=node,
        role=role,
        incarnation=2,
        at_ns=0,
        clock=CLOCK,
        interval_s=1.0,
        drops=(DropCount(stream="cam0", reason="stale", count=3), DropCount(stream="cam0", reason="gap", count=0)),
        latencies=(Latency(name="step", count=9, p50_ms=12.34, p95_ms=20, p99_ms=21, max_ms=22),),
    )


FULL = (
    source_state(
        status="running",
        epoch=3,
        size=(360, 640),
        rate_hz=29.97,
        next_index=77,
        address="[camera]",
        drops=(
            DropCount(stream="cam0", reason="overtaken", count=5),
            DropCount(stream="cam0", reason="stale", count=1),
        ),
    ),
    PromptState(
        stream="cam0",
        prompts=(Prompt(id="p1", text="the [red] cup", version=1), Prompt(id="p2", text="a dog", version=2)),
        version=2,
        applies_from=AppliesFrom(epoch=0, seq=0),
    ),
    _heartbeat("encoder-0", "encoder"),
    _statistics("encoder-0", "encoder"),
    _heartbeat("ingest-cam0", "ingest", ready=False, text="lost: signal 9"),
    _statistics("ingest-cam0", "ingest"),
    Event(
        kind="node_lost",
        node="control",
        at_ns=0,
        clock=CLOCK,
        about_node="ingest-cam0",
        text="exited",
        severity="warning",
    ),
)


def _printed(status: GraphStatus) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(status_tables(status))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_tables_show_streams_nodes_and_events() -> None:
    """Text of others is shown as it is, brackets and all."""
    text = _printed(_status(*FULL))
    for shown in (
        "running [camera]",
        "640x360",
        "30.0",
        "77",
        "p1: the [red] cup",
        "p2: a dog",
        "overtaken 5, stale 4",
    ):
        assert shown in text
    for shown in ("ready", "not ready lost: signal 9", "0.25 s", "inbox 1/4", "step 12.3/20.0", "41"):
        assert shown in text
    assert "node_lost ingest-cam0  exited" in text


def test_tables_show_what_is_not_known_as_such() -> None:
    """A node that has not said anything but figures, a stream without a source."""
    text = _printed(_status(FULL[1], FULL[3]))
    assert "?" in text


def test_drops_of_ingest_are_counted_once() -> None:
    """It tells them with its source and in its statistics."""
    assert _status(*FULL).dropped("cam0") == {"overtaken": 5, "stale": 4}


def test_events_are_the_last_ones() -> None:
    """Not all since the beginning of time."""
    events = [Event(kind="gap", node="n", at_ns=number, clock=CLOCK) for number in range(20)]
    assert [event.at_ns for event in _status(*events).events] == [15, 16, 17, 18, 19]


def test_mapping_can_be_written_as_json() -> None:
    """With the names of the protocol."""
    found = json.loads(json.dumps(_status(*FULL).to_mapping()))
    assert found["streams"]["cam0"]["source"]["next_index"] == 77
    assert found["nodes"]["encoder-0"]["heartbeat"]["ready"] is True
    assert found["events"][0]["kind"] == "node_lost"
