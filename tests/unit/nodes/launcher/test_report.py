"""What a graph publishes becomes figures: frames once each, drops over restarts, latencies on one clock."""

from collections import deque
from typing import Any

import msgspec
import pytest

from ssa_stream import rates
from ssa_stream.client import mask_figures
from ssa_stream.client.graph_state import GraphState
from ssa_stream.nodes.launcher import GraphReport
from ssa_stream.protocols import (
    DropCount,
    Event,
    EventKind,
    FrameIdentity,
    MaskMessage,
    Prompt,
    SourceState,
    StageTime,
    Statistics,
)

_CLOCK = "monotonic:test"
_MS = 1_000_000


def _masks(index: int, *, end_ms: int = 0, stream: str = "cam0", version: int = 1, **frame: Any) -> MaskMessage:
    identity: dict[str, Any] = {
        "stream": stream, "epoch": 0, "seq": index, "index": index, "t": index / 30, "t_receive_ns": 0,
        "receive_clock": _CLOCK, "live": True,
    }  # fmt: skip
    end_ns = end_ms * _MS
    times = StageTime(role="masks", node="masks-0", clock=_CLOCK, received_ns=0, begin_ns=0, end_ns=end_ns)
    return MaskMessage(
        frame=FrameIdentity(**identity | frame),
        prompt=Prompt(id="p1", text="the red circle", version=version),
        model="tiny",
        source_size=(8, 8),
        size=(8, 8),
        probability=0.0,
        target_present=False,
        times=(times,),
    )


def _source(status: str, stream: str = "cam0", text: str = "") -> SourceState:
    return SourceState(
        stream=stream, status=status, epoch=0, at_ns=0, clock=_CLOCK, live=True, flow="every_frame", text=text
    )


def _statistics(incarnation: int, **drops: int) -> Statistics:
    counts = tuple(DropCount(stream="cam0", reason=reason, count=count) for reason, count in drops.items())
    return Statistics(
        node="encoder-0", role="encoder", incarnation=incarnation, at_ns=0, clock=_CLOCK, interval_s=1.0, drops=counts
    )


def _report(state: GraphState) -> GraphReport:
    return GraphReport.of(state, ["cam0", "cam1"], now_ns=0)


def test_frames_are_counted_once_for_all_prompts() -> None:
    """Masks of a second prompt, and provisional ones, are of a frame that is counted or will be."""
    state = GraphState()
    for index, end_ms in ((0, 100), (0, 101), (1, 200), (2, 300)):
        state.take(_masks(index, end_ms=end_ms), now_ns=0)
    state.take(msgspec.structs.replace(_masks(3), status="provisional"), now_ns=0)
    report = _report(state)
    assert (report.total_frames, report.repeated) == (3, 0)
    assert report.fps == pytest.approx(2 / 0.2)
    assert list(report.latencies_ms) == [100, 200, 300]


def test_frame_that_comes_again_is_told_apart() -> None:
    """A frame whose final masks come twice shows in the report."""
    state = GraphState()
    for index in (0, 1, 0):
        state.take(_masks(index, end_ms=1), now_ns=0)
    assert (_report(state).total_frames, _report(state).repeated) == (2, 1)


def test_latency_is_from_capture_where_the_clock_is_the_same() -> None:
    """Times of two clocks are never subtracted."""
    state = GraphState()
    state.take(_masks(0, end_ms=100, t_capture_ns=40 * _MS, capture_clock=_CLOCK), now_ns=0)
    state.take(_masks(1, end_ms=200, t_capture_ns=1, capture_clock="utc:host", t_receive_ns=150 * _MS), now_ns=0)
    state.take(_masks(2, end_ms=300, receive_clock="monotonic:other"), now_ns=0)
    assert list(_report(state).latencies_ms) == [60, 50]


def test_latency_of_a_recording_begins_when_the_frame_is_sent() -> None:
    """A picture that was read ahead has waited for its turn, not for the network."""
    state = GraphState()
    message = _masks(0, end_ms=500, live=False)
    ingest = StageTime(role="ingest", node="ingest-cam0", clock=_CLOCK, received_ns=0, begin_ns=0, end_ns=400 * _MS)
    state.take(msgspec.structs.replace(message, times=(ingest, *message.times)), now_ns=0)
    assert list(_report(state).latencies_ms) == [100]


def test_drops_of_all_incarnations_add_up() -> None:
    """Counters begin anew with a restart; the figures do not."""
    state = GraphState()
    for statistics in (_statistics(0, stale=2), _statistics(0, stale=3), _statistics(1, stale=1, failed=4)):
        state.take(statistics, now_ns=0)
    assert _report(state).drops == {"stale": 4, "failed": 4}
    assert _report(state).dropped == 8


def test_prompt_change_is_measured_to_the_first_masks_of_its_sentence() -> None:
    """Masks under earlier prompts do not count."""
    state = GraphState()
    state.take(
        Event(
            kind=EventKind.PROMPTS_CHANGED,
            node="ingest-cam0",
            at_ns=100 * _MS,
            clock=_CLOCK,
            stream="cam0",
            prompts_version=2,
        ),
        now_ns=0,
    )
    for index, version in enumerate((1, 2, 2)):
        state.take(_masks(index, end_ms=150 + 100 * index, version=version), now_ns=0)
    assert _report(state).prompt_to_mask_ms == deque([150])


def test_figures_are_of_the_newest_however_long_the_graph_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Latencies, and changes of prompts: those that brought masks, and those that nothing came of."""
    monkeypatch.setattr(rates, "_MOST_LATENCIES", 3)
    for module in (rates, mask_figures):
        monkeypatch.setattr(module, "MOST_CHANGES", 3)
    state = GraphState()
    for number in range(20):
        changed = Event(
            kind=EventKind.PROMPTS_CHANGED, node="ingest-cam0", at_ns=0, clock=_CLOCK, stream="cam0",
            prompts_version=number,
        )  # fmt: skip
        state.take(changed, now_ns=0)
        if number < 10:
            state.take(_masks(number, end_ms=100 + number, version=number), now_ns=0)
    assert _report(state).prompt_to_mask_ms == deque([107, 108, 109])
    assert len(_report(state).latencies_ms) == 3
    for number in range(10, 18):
        state.take(_masks(number, end_ms=200 + number, version=number), now_ns=0)
    assert _report(state).prompt_to_mask_ms == deque([108, 109, 217]), "changes before the last three are forgotten"


def test_graph_is_finished_when_every_source_has_ended() -> None:
    """A source that failed has ended, too, and is remembered; one that goes on again has not."""
    state = GraphState()
    state.take(_source("ended"), now_ns=0)
    assert not state.has_ended(["cam0", "cam1"])
    state.take(_source("failed", "cam1", "no such file"), now_ns=0)
    assert state.has_ended(["cam0", "cam1"])
    assert _report(state).failures == {"cam1": "no such file"}
    state.take(_source("running", "cam1"), now_ns=0)
    assert not state.has_ended(["cam0", "cam1"])
    assert _report(state).failures == {}
    state.take(_source("ended", "unknown"), now_ns=0)
    assert not state.has_ended(["cam0", "cam1"])
