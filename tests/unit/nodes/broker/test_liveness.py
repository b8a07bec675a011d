"""Which nodes there are."""

import pytest

from ssa_stream.nodes.broker.liveness import NodeTable
from ssa_stream.protocols import Heartbeat, Hello

SECOND = 1_000_000_000


def _hello(incarnation: int = 1, node: str = "encoder-0") -> Hello:
    return Hello(request_id="h", node=node, role="encoder", incarnation=incarnation)


def _heartbeat(incarnation: int = 1) -> Heartbeat:
    return Heartbeat(
        node="encoder-0",
        role="encoder",
        incarnation=incarnation,
        beat=0,
        at_ns=0,
        clock="monotonic:x",
        ready=True,
        step_age_s=1.5,
        steps=7,
        text="well",
    )


def test_state_tells_since_when_a_node_is_silent() -> None:
    """And what it said last."""
    table = NodeTable()
    assert table.admit(_hello(), b"id", 0) is None
    assert not table.states(SECOND)["encoder-0"].ready
    peer = table.heard(b"id", 2 * SECOND)
    assert peer is not None
    table.beat(peer, _heartbeat())
    state = table.states(5 * SECOND)["encoder-0"]
    assert (state.ready, state.silent_s, state.step_age_s, state.steps, state.text) == (True, 3.0, 1.5, 7, "well")


def test_newer_start_replaces_the_older_one() -> None:
    """Under the same routing id or another; it is not ready until it says so."""
    table = NodeTable()
    table.admit(_hello(1), b"id", 0)
    peer = table.heard(b"id", 0)
    assert peer is not None
    table.beat(peer, _heartbeat())
    assert table.admit(_hello(2), b"other", 0) is None
    assert table.heard(b"id", 0) is None
    state = table.states(0)["encoder-0"]
    assert (state.incarnation, state.ready) == (2, False)


@pytest.mark.parametrize(
    ("incarnation", "routing_id", "refusal"),
    [(2, b"id", "the older one has to end"), (3, b"other", "end one of them"), (1, b"id", "was given up")],
    ids=["older", "twin", "given up"],
)
def test_start_that_is_not_the_newest_is_refused(incarnation: int, routing_id: bytes, refusal: str) -> None:
    """And changes nothing."""
    table = NodeTable()
    table.lost("encoder-0", 1)
    table.admit(_hello(3), b"id", 0)
    reason = table.admit(_hello(incarnation), routing_id, 0)
    assert reason is not None
    assert refusal in reason
    assert [peer.incarnation for peer in table.peers()] == [3]


def test_same_start_may_say_hello_again() -> None:
    """Its first welcome may have been lost."""
    table = NodeTable()
    table.admit(_hello(), b"id", 0)
    assert table.admit(_hello(), b"id", 9) is None
    assert table.states(9)["encoder-0"].silent_s == 0


def test_lost_start_is_gone_and_a_newer_one_is_not() -> None:
    """A late report about an earlier start does no harm."""
    table = NodeTable()
    table.admit(_hello(2), b"id", 0)
    assert not table.lost("encoder-0", 1)
    assert table.get("encoder-0") is not None
    assert table.lost("encoder-0", 2)
    assert table.get("encoder-0") is None
    assert table.heard(b"id", 0) is None


def test_routing_id_that_another_node_takes_over_is_its_own_then() -> None:
    """The earlier node is not reachable there any more."""
    table = NodeTable()
    table.admit(_hello(node="encoder-0"), b"id", 0)
    table.admit(_hello(node="encoder-1"), b"id", 0)
    peer = table.heard(b"id", 0)
    assert peer is not None
    assert (peer.name, table.get("encoder-0")) == ("encoder-1", None)
