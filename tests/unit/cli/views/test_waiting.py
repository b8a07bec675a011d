"""What `ssa-stream watch` says that it waits for."""

from typing import Any

import pytest

from ssa_stream.cli.views.waiting import what_lacks
from ssa_stream.client.graph_state import GraphState
from ssa_stream.protocols import AnyMessage, AppliesFrom, Prompt, PromptState
from tests.support.scripted_nodes import heartbeat, source_state


def _prompts(*ids: str) -> PromptState:
    prompts = tuple(Prompt(id=name, text=f"the {name}", version=1) for name in ids)
    return PromptState(stream="cam0", prompts=prompts, version=1, applies_from=AppliesFrom(epoch=0, seq=0))


RUNNING = source_state()
READY = heartbeat("ingest-cam0")


@pytest.mark.parametrize(
    ("messages", "asked", "text"),
    [
        ([], {}, "the graph has not said anything yet"),
        ([heartbeat("masks-0", ready=False)], {}, "the graph is not ready yet: masks-0"),
        ([READY], {}, "no stream has said anything yet"),
        ([READY], {"stream": "cam0"}, "stream cam0 has not said anything yet"),
        ([READY, source_state(status="stalled", text="no frame for 2 s")], {}, "stream cam0 is stalled: no frame for"),
        ([source_state(status="stopped")], {}, "stream cam0 is stopped; it starts when somebody looks at it"),
        ([source_state(status="ended")], {}, "stream cam0 is ended, and gives no more frames"),
        ([RUNNING, _prompts()], {}, "stream cam0 has no prompts; give it one with: ssa-stream prompt add"),
        ([RUNNING, _prompts("p1", "p2")], {"prompts": ["p9"]}, "stream cam0 has no prompt p9; it has p1, p2"),
        ([RUNNING, _prompts("p1")], {"prompts": ["p1"]}, "stream cam0 has sent no masks yet"),
        ([RUNNING, source_state("cam1", status="failed")], {"stream": "cam0"}, "stream cam0 has sent no masks yet"),
    ],
)
def test_what_lacks_is_named(messages: list[AnyMessage], asked: dict[str, Any], text: str) -> None:
    """The first of what has to be there that is not."""
    graph = GraphState()
    for message in messages:
        graph.take(message, now_ns=0)
    assert what_lacks(graph, asked.get("stream"), asked.get("prompts")).text.startswith(text)


def test_detail_does_not_make_another_lack() -> None:
    """While nodes get ready one by one, or attempts are counted, it is the same that lacks."""
    graph = GraphState()
    kinds = []
    for message in (heartbeat("masks-0", ready=False), heartbeat("ingest-cam0", ready=False)):
        graph.take(message, now_ns=0)
        kinds.append(what_lacks(graph, None, None).kind)
    for message in (READY, heartbeat("masks-0")):
        graph.take(message, now_ns=0)
    for attempt in (1, 2):
        graph.take(source_state(status="lost", code="refused", attempt=attempt), now_ns=0)
        kinds.append(what_lacks(graph, None, None).kind)
    assert kinds == ["nodes", "nodes", "cam0 lost", "cam0 lost"]
