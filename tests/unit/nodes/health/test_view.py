"""Verdicts about a graph whose nodes say what a test lets them say, at times of its choice."""

from typing import Any, Literal

import pytest

from ssa_stream.client.graph_state import GraphState
from ssa_stream.nodes.health import HealthView
from ssa_stream.nodes.pipeline import BROKER, PipelineConfig, role_of
from ssa_stream.protocols import AnyMessage, Event, EventKind, Heartbeat
from tests.support.manual_clock import ManualClock
from tests.support.scripted_nodes import source_state


class _Stand:
    """The state of a graph and the time; `beat` is a sign of life."""

    def __init__(self, placement: Literal["fused", "processes"] = "processes") -> None:
        self.config = PipelineConfig.from_mapping(
            {
                "streams": {"cam0": {"source": "synthetic"}},
                "placement": placement,
                "health": {"heartbeat_timeout_s": 3, "hang_timeout_s": 20},
            }
        )
        self.clock = ManualClock()
        self.state = GraphState(self.clock.monotonic_ns())

    def take(self, message: AnyMessage) -> None:
        self.state.take(message, self.clock.monotonic_ns())

    def beat(self, *names: str, **fields: Any) -> None:
        for name in names:
            role = BROKER if name == BROKER else role_of(name)
            values: dict[str, Any] = {"incarnation": 0, "beat": 0, "ready": True} | fields
            self.take(Heartbeat(node=name, role=role, at_ns=0, clock="monotonic:x", **values))

    def beat_all(self, **fields: Any) -> None:
        self.beat(*self.config.all_names, **fields)

    def view(self, after_s: float = 0.0) -> HealthView:
        self.clock.advance(after_s)
        return HealthView.of(self.state, self.clock.monotonic_ns(), self.config)


def test_graph_whose_nodes_all_work_is_live_and_ready() -> None:
    """With no reasons against it."""
    stand = _Stand()
    stand.beat_all()
    assert stand.view(2.9).ready().ok
    assert stand.view().live().ok


def test_graph_that_is_starting_is_live_but_not_ready() -> None:
    """The reason names who is missing."""
    stand = _Stand()
    stand.beat(BROKER)
    stand.beat("masks-0", ready=False, text="loading weights")
    reasons = stand.view().ready().reasons
    assert "masks-0 is not ready (loading weights)" in reasons
    assert "ingest-cam0 has not said anything yet" in reasons
    assert stand.view().live().ok


def test_node_at_one_step_for_too_long_makes_the_graph_not_ready() -> None:
    """Also when it goes on sending heartbeats, and when it stopped doing so in the middle of the step."""
    stand = _Stand()
    stand.beat_all()
    stand.beat("encoder-0", step_age_s=20.5)
    assert stand.view().ready().reasons == ("encoder-0 has been at one step for 20.5 s",)
    stand.beat("encoder-0", step_age_s=18.0)
    assert stand.view(1.5).ready().ok
    assert not stand.view(1.0).ready().ok


def test_silent_node_makes_the_graph_not_ready() -> None:
    """The others go on."""
    stand = _Stand()
    stand.beat_all()
    stand.clock.advance(3.5)
    stand.beat(*(name for name in stand.config.all_names if name != "decoder-0"))
    assert stand.view().ready().reasons == ("decoder-0 has been silent for 3.5 s",)


@pytest.mark.parametrize(("placement", "is_live"), [("processes", True), ("fused", False)])
def test_hanging_node_ends_the_process_only_where_nobody_starts_it_again(
    placement: Literal["fused", "processes"], is_live: bool
) -> None:
    """The launcher does that for nodes in processes of their own."""
    stand = _Stand(placement)
    stand.beat_all()
    stand.beat("queries-0", step_age_s=21.0)
    assert stand.view().live().ok is is_live


def test_control_that_does_not_work_is_not_live() -> None:
    """Nor is one that never began to."""
    assert stand_reasons(_Stand(), 3.5) == ("the broker has not worked for 3.5 s",)
    stand = _Stand()
    stand.beat_all()
    assert stand_reasons(stand, 4.0) == ("the broker has not worked for 4.0 s",)


def stand_reasons(stand: _Stand, after_s: float) -> tuple[str, ...]:
    """Why it is not live after a while."""
    return stand.view(after_s).live().reasons


def test_age_of_the_last_step_is_told() -> None:
    """It begins anew with every step, and a restarted node that counts from the beginning has made a step, too."""
    stand = _Stand()
    stand.beat("encoder-0")
    assert stand.view().nodes["encoder-0"].last_step_s is None
    stand.beat("encoder-0", steps=5)
    assert stand.view(1.0).nodes["encoder-0"].last_step_s == pytest.approx(1.0)
    stand.beat("encoder-0", steps=5)
    assert stand.view(1.0).to_mapping()["nodes"]["encoder-0"]["last_step_s"] == pytest.approx(2.0)
    stand.beat("encoder-0", steps=2, incarnation=1)
    assert stand.view().nodes["encoder-0"].last_step_s == pytest.approx(0.0)


def test_losses_and_sources_are_told() -> None:
    """By name; what is about others is passed over."""
    stand = _Stand()
    for name in ("decoder-0", "decoder-0", "somebody"):
        stand.take(Event(kind=EventKind.NODE_LOST, node=BROKER, at_ns=0, clock="monotonic:x", about_node=name))
    failure: dict[str, Any] = {
        "status": "lost",
        "text": "nothing listens",
        "code": "refused",
        "attempt": 3,
        "retry_in_s": 4.0,
    }
    stand.take(source_state(**failure))
    stand.take(source_state("cam9"))
    plain = stand.view().to_mapping()
    assert plain["nodes"]["decoder-0"]["losses"] == 2
    assert plain["streams"] == {"cam0": failure | {"source_hz": 0, "masks_hz": 0, "overload": ""}}


def test_output_that_ended_makes_the_graph_not_ready_until_its_node_starts_again() -> None:
    """Its file is a new one then; the report keeps the failure."""
    stand = _Stand()
    stand.beat_all()
    told: dict[str, Any] = {"at_ns": 0, "clock": "monotonic:x"}
    failed = Event(kind=EventKind.OUTPUT_FAILED, node="masks-0", stream="cam0", text="cannot write a.mp4", **told)
    for _ in range(2):
        stand.take(failed)
    assert stand.view().ready().reasons == ("an output of stream cam0 has ended: cannot write a.mp4",)
    assert stand.view().live().ok
    stand.take(Event(kind=EventKind.NODE_LOST, node=BROKER, about_node="encoder-0", **told))
    assert not stand.view().ready().ok
    stand.take(Event(kind=EventKind.NODE_LOST, node=BROKER, about_node="masks-0", **told))
    assert stand.view().ready().ok
    assert stand.state.failed_outputs == {"cam0": ["cannot write a.mp4"]}
