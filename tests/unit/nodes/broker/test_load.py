"""What the broker says of streams that are too much for the graph."""

from typing import Any

import pytest

from ssa_stream.client.graph_state import MASKED, GraphState
from ssa_stream.nodes.broker.load import LoadWatch, StreamNews
from ssa_stream.nodes.pipeline import PipelineConfig
from ssa_stream.protocols import BusyTime, Counter, DropCount, EventKind
from tests.support.scripted_nodes import heartbeat, source_state, statistics

SECOND = 1_000_000_000


class _Graph:
    """A graph of processes whose encoder works all the time: 15 pictures a second come, 6 get masks."""

    def __init__(self, **fields: Any) -> None:
        streams = {"cam0": {"source": "0", "prompts": ["a dog", "a cat"]}}
        self.config = PipelineConfig.from_mapping({"streams": streams, "placement": "processes"} | fields)
        self.state = GraphState()
        self.watch = LoadWatch(self.config, self.state)
        self.at_s = 0

    def second(self, *, masks: int = 6, ready: bool = True, reason: str = "overtaken", **source: Any) -> StreamNews:
        """Let another second pass."""
        self.at_s += 1
        now_ns = self.at_s * SECOND
        for name in self.config.node_names:
            self.state.take(heartbeat(name, ready=ready), now_ns)
        drops = (DropCount(stream="cam0", reason=reason, count=(15 - masks) * self.at_s),)
        told: dict[str, Any] = {"live": True, "flow": "freshest", "rate_hz": 15.0, "drops": drops} | source
        self.state.take(source_state(**told), now_ns)
        masked = (Counter(name=MASKED, stream="cam0", value=masks * self.at_s),)
        self.state.take(statistics("masks-0", at_ns=now_ns, counters=masked), now_ns)
        busy = (BusyTime(name="encoder", seconds=0.97 * self.at_s),)
        self.state.take(statistics("encoder-0", at_ns=now_ns, busy=busy), now_ns)
        (news,) = self.watch.look(now_ns, now_ns, "monotonic:x")
        return news


def test_overload_is_told_with_its_cause_and_its_end() -> None:
    """One event at each; while it lasts the state has the text, for those who come later."""
    graph = _Graph()
    news = [graph.second() for _ in range(12)]
    assert [one.event for one in news if one.event] == [EventKind.OVERLOAD]
    assert not news[0].load.text
    assert news[-1].load.masks_hz == pytest.approx(6)
    assert news[-1].load.stage == "encoder"
    assert news[-1].load.text.startswith(
        "overloaded: 15 pictures/s come, 6/s get masks; the encoder takes 97 % of the time; what helps: "
    )
    for advice in ("fewer prompts (now 2)", "workers.encoder (now 1)", "fewer pictures per second"):
        assert advice in news[-1].load.text
    news = [graph.second(status="stalled", rate_hz=None) for _ in range(8)]
    assert [one.event for one in news if one.event] == [EventKind.OVERLOAD_ENDED]
    assert (news[-1].load.text, news[-1].load.stage) == ("", None)


@pytest.mark.parametrize(("reason", "is_named"), [("stale", True), ("overtaken", False)])
def test_staleness_is_named_where_frames_become_stale(reason: str, is_named: bool) -> None:
    """With its present value: a network that takes longer than that gives no masks at all."""
    graph = _Graph(flow={"staleness_s": 0.25})
    news = [graph.second(masks=0, reason=reason) for _ in range(12)]
    assert ("what helps: a larger flow.staleness_s (now 0.25), " in news[-1].load.text) == is_named


@pytest.mark.parametrize(
    "how",
    [{"flow": "every_frame", "live": False}, {"masks": 15}, {"ready": False}],
    ids=["a file that is slow", "a graph that keeps up", "a graph that lacks a node"],
)
def test_what_is_no_overload_is_none(how: dict[str, Any]) -> None:
    """A file has time; a node that is started again is another problem, which health tells."""
    graph = _Graph()
    assert not [news for news in (graph.second(**how) for _ in range(30)) if news.event or news.load.text]
