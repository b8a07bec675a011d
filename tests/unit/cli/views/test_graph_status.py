"""What is kept of what a graph publishes."""

import json

from ssa_stream.cli.views.graph_status import GraphStatus
from ssa_stream.protocols import AnyMessage, DropCount, Event, Topic
from tests.support.scripted_nodes import heartbeat, source_state, statistics

OVERTAKEN = DropCount(stream="cam0", reason="overtaken", count=5)
STALE = DropCount(stream="cam0", reason="stale", count=3)


def _status(*messages: AnyMessage) -> GraphStatus:
    status = GraphStatus()
    for message in messages:
        status.note(Topic("cam0", "state"), message)
    return status


def test_drops_of_ingest_are_counted_once() -> None:
    """It tells them with its source and in its statistics."""
    status = _status(
        source_state(drops=(OVERTAKEN, DropCount(stream="cam0", reason="stale", count=1))),
        statistics("encoder-0", drops=(STALE, DropCount(stream="cam0", reason="gap", count=0))),
        statistics("ingest-cam0", drops=(STALE,)),
    )
    assert status.dropped("cam0") == {"overtaken": 5, "stale": 4}


def test_events_are_the_last_ones() -> None:
    """Not all since the beginning of time."""
    events = [Event(kind="gap", node="n", at_ns=number, clock="monotonic:x") for number in range(20)]
    assert [event.at_ns for event in _status(*events).events] == [15, 16, 17, 18, 19]


def test_mapping_can_be_written_as_json() -> None:
    """With the names of the protocol."""
    lost = Event(kind="node_lost", node="control", at_ns=0, clock="monotonic:x", about_node="ingest-cam0")
    status = _status(source_state(next_index=77), heartbeat("encoder-0"), lost)
    found = json.loads(json.dumps(status.to_mapping()))
    assert found["streams"]["cam0"]["source"]["next_index"] == 77
    assert found["nodes"]["encoder-0"]["heartbeat"]["ready"] is True
    assert found["events"][0]["kind"] == "node_lost"
