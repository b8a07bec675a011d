"""What is kept of what a graph publishes."""

import pytest

from ssa_stream.client.graph_state import MASKED, GraphState
from ssa_stream.protocols import (
    AnyMessage,
    AppliesFrom,
    BusyTime,
    Counter,
    DropCount,
    Event,
    EventKind,
    Heartbeat,
    Prompt,
    PromptState,
    Statistics,
    StreamLoad,
)
from tests.support.mask_messages import mask_parts, mask_view
from tests.support.scripted_nodes import heartbeat, source_state, statistics

SECOND = 1_000_000_000
OVERTAKEN = DropCount(stream="cam0", reason="overtaken", count=5)
STALE = DropCount(stream="cam0", reason="stale", count=3)


def _state(*messages: AnyMessage) -> GraphState:
    state = GraphState()
    for message in messages:
        state.take(message, now_ns=0)
    return state


def test_drops_of_ingest_are_counted_once() -> None:
    """It tells them with its source and in its statistics."""
    state = _state(
        source_state(drops=(OVERTAKEN, DropCount(stream="cam0", reason="stale", count=1))),
        statistics("encoder-0", drops=(STALE, DropCount(stream="cam0", reason="gap", count=0))),
        statistics("ingest-cam0", drops=(STALE,)),
    )
    assert state.dropped("cam0") == {"overtaken": 5, "stale": 4}


def test_events_are_the_last_ones() -> None:
    """Not all since the beginning of time."""
    events = [Event(kind="gap", node="n", at_ns=number, clock="monotonic:x") for number in range(20)]
    assert [event.at_ns for event in _state(*events).events] == [15, 16, 17, 18, 19]


def _beat(steps: int, at_s: float, incarnation: int = 0) -> Heartbeat:
    return heartbeat("encoder-0", incarnation=incarnation, steps=steps, at_ns=round(at_s * SECOND))


def _dropped(count: int, at_s: float) -> Statistics:
    drops = (DropCount(stream="cam0", reason="stale", count=count),)
    return statistics("encoder-0", at_ns=round(at_s * SECOND), drops=drops)


def test_rates_of_a_node_are_of_the_last_seconds_and_fall_to_zero() -> None:
    """What is older does not count; nothing is known of one sample; a node that says nothing more does nothing."""
    state = GraphState()
    state.take(_beat(0, 0.0), now_ns=0)
    assert state.nodes["encoder-0"].steps_per_s(0) is None
    for tenths in range(1, 61):
        state.take(_beat(tenths if tenths <= 20 else 20 + 3 * (tenths - 20), tenths / 10), now_ns=100 * SECOND)
    node = state.nodes["encoder-0"]
    assert node.steps_per_s(100 * SECOND) == pytest.approx(30.0)
    assert node.steps_per_s(102 * SECOND) == pytest.approx(10.0, rel=0.1)
    assert node.steps_per_s(104 * SECOND) == 0
    state.take(_dropped(5, 0.0), now_ns=200 * SECOND)
    state.take(_dropped(9, 2.0), now_ns=200 * SECOND)  # late, on the way: its own time counts
    assert node.drops_per_s(200 * SECOND) == pytest.approx(2.0)
    assert node.drops_per_s(210 * SECOND) == 0


def test_rates_of_a_restarted_node_begin_anew() -> None:
    """Its counters do, too: a rate is never negative."""
    state = GraphState()
    state.take(_beat(100, 0.0), now_ns=0)
    state.take(_beat(1, 0.5, incarnation=1), now_ns=0)
    assert state.nodes["encoder-0"].steps_per_s(0) is None
    state.take(_beat(3, 1.0, incarnation=1), now_ns=0)
    assert state.nodes["encoder-0"].steps_per_s(0) == pytest.approx(4.0)


def test_masks_and_work_of_nodes_are_rates_of_their_counts() -> None:
    """Workers of one stage share it; outputs are a part of their own; both fall to 0 with the node."""
    state = GraphState()
    for at_s in range(4):
        masked = (Counter(name=MASKED, stream="cam0", value=6 * at_s),)
        work = (BusyTime(name="masks", seconds=0.2 * at_s), BusyTime(name="outputs", seconds=0.1 * at_s))
        state.take(statistics("masks-0", at_ns=at_s * SECOND, counters=masked, busy=work), now_ns=at_s * SECOND)
        for worker, share in (("encoder-0", 0.9), ("encoder-1", 0.5)):
            busy = (BusyTime(name="encoder", seconds=share * at_s),)
            state.take(statistics(worker, at_ns=at_s * SECOND, busy=busy), now_ns=at_s * SECOND)
    assert state.masked_per_s("cam0", 3 * SECOND) == pytest.approx(6)
    assert state.busy(3 * SECOND) == pytest.approx({"encoder": 0.7, "masks": 0.2, "outputs": 0.1})
    assert state.masked_per_s("cam0", 7 * SECOND) == 0
    assert set(state.busy(7 * SECOND).values()) == {0.0}


def test_overload_that_is_not_told_any_more_is_over() -> None:
    """The broker tells of it every second."""
    told = StreamLoad(stream="cam0", at_ns=0, clock="monotonic:x", masks_hz=6, stage="encoder", text="overloaded: ...")
    state = GraphState()
    state.take(told, now_ns=SECOND)
    assert [state.overload("cam0", at_s * SECOND) for at_s in (2, 9)] == ["overloaded: ...", ""]
    assert state.overload("other", 0) == ""


def test_latency_is_none_while_no_masks_come() -> None:
    """That of an hour ago says nothing."""
    state = GraphState()
    for seq in range(4):
        state.take(mask_view(mask_parts(seq)).message, now_ns=(5 + seq) * SECOND)
    assert state.masks.rate.rate_hz(8 * SECOND) == pytest.approx(1)
    assert state.masks.recent_latency_ms(8 * SECOND) is not None
    assert state.masks.rate.rate_hz(20 * SECOND) == 0
    assert state.masks.recent_latency_ms(20 * SECOND) is None


def test_frames_with_masks_are_counted_once_for_all_prompts() -> None:
    """Those of the last three seconds; the age is that of the newest picture."""
    state = GraphState()
    for seq in range(6):
        for prompt in ("p1", "p2"):
            state.take(mask_view(mask_parts(seq, prompt=prompt)).message, now_ns=(5 + seq) * SECOND)
    assert state.masks.frames_per_s("cam0", 10 * SECOND) == pytest.approx(1)
    assert state.masks.frames_per_s("cam0", 20 * SECOND) == 0
    figures = state.masks.prompts("cam0")["p1"]
    assert figures.objects == 1
    assert figures.score == pytest.approx(0.9)
    assert figures.age_ms is not None
    assert [(one.prompt_id, one.frames, one.found) for one in state.masks.found["cam0"]] == [("p1", 6, 6), ("p2", 6, 6)]


def test_prompts_that_are_gone_are_forgotten() -> None:
    """Once no masks of them came for a while: a graph that runs for weeks is asked for many."""
    state = GraphState()
    for at_s, prompt in ((1, "p1"), (9, "p2"), (10, "p3")):
        state.take(mask_view(mask_parts(prompt=prompt)).message, now_ns=at_s * SECOND)
    prompts = (Prompt(id="p3", text="a dog", version=3),)
    changed = PromptState(stream="cam0", prompts=prompts, version=3, applies_from=AppliesFrom(epoch=0, seq=0))
    state.take(changed, now_ns=10 * SECOND)
    assert state.masks.prompts("cam0").keys() == {"p2", "p3"}


def test_losses_are_counted_by_node() -> None:
    """Other events about a node are no losses."""
    kinds = (EventKind.NODE_LOST, EventKind.NODE_RESTARTED, EventKind.NODE_LOST)
    events = [Event(kind=kind, node="control", at_ns=0, clock="monotonic:x", about_node="masks-0") for kind in kinds]
    assert _state(*events).losses == {"masks-0": 2}


def test_first_frames_with_masks_are_a_rate_at_once() -> None:
    """A node that told of itself before has made none until then."""
    state = GraphState()
    state.take(statistics("masks-0", at_ns=0), now_ns=0)
    masked = (Counter(name=MASKED, stream="cam0", value=5),)
    state.take(statistics("masks-0", at_ns=SECOND, counters=masked), now_ns=SECOND)
    assert state.masked_per_s("cam0", SECOND) == pytest.approx(5)
