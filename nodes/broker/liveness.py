"""Table of nodes: which start of each runs, and when it was last heard."""

from dataclasses import dataclass, replace

from ssa_stream.protocols import Heartbeat, Hello

__all__ = ["NodePeer", "NodeState", "NodeTable"]

_NS = 1e-9


@dataclass(frozen=True, slots=True)
class NodeState:
    """How a node fares.

    Attributes:
        name: Its name.
        role: What it does.
        incarnation: Which start of it; another one replaces it.
        ready: Whether it takes work.
        silent_s: Time since it was last heard.
        step_age_s: How long it has been at its present step, as it last said; None if it has no work.
        steps: Steps done in this incarnation.
        text: What it says of itself.
    """

    name: str
    role: str
    incarnation: int
    ready: bool
    silent_s: float
    step_age_s: float | None = None
    steps: int = 0
    text: str = ""


@dataclass(frozen=True, slots=True)
class NodePeer:
    """One start of a node, and where to reach it.

    Attributes:
        name: The node.
        role: What it does.
        incarnation: Which start.
        routing_id: How the socket calls it.
        heard_ns: When it was last heard.
        heartbeat: The last one; None before the first.
    """

    name: str
    role: str
    incarnation: int
    routing_id: bytes
    heard_ns: int
    heartbeat: Heartbeat | None = None

    @property
    def is_ready(self) -> bool:
        """Whether it takes work, as it last said."""
        return self.heartbeat is not None and self.heartbeat.ready


class NodeTable:
    """The newest start of every node that said hello. Times are given, so that tests need no clock."""

    def __init__(self) -> None:
        self._peers: dict[str, NodePeer] = {}
        self._names: dict[bytes, str] = {}
        self._ended: dict[str, int] = {}  # newest start of each node that is known to have ended

    def admit(self, hello: Hello, routing_id: bytes, now_ns: int) -> str | None:
        """Take in a node, in place of its earlier starts.

        Returns:
            Why it is refused; None if it is not.
        """
        known = self._peers.get(hello.node)
        if hello.incarnation <= self._ended.get(hello.node, -1):
            return f"incarnation {hello.incarnation} of {hello.node} was given up; it has to end"
        if known is not None and hello.incarnation < known.incarnation:
            return (
                f"{hello.node} says hello as incarnation {hello.incarnation}, but incarnation {known.incarnation} is "
                f"here; the older one has to end"
            )
        if known is not None and hello.incarnation == known.incarnation:
            if routing_id != known.routing_id:
                return f"two nodes say that they are incarnation {hello.incarnation} of {hello.node}; end one of them"
            self._peers[hello.node] = replace(known, heard_ns=now_ns)
            return None
        self._remove(hello.node)
        other = self._names.get(routing_id)
        if other is not None:
            self._remove(other)
        self._peers[hello.node] = NodePeer(hello.node, hello.role, hello.incarnation, routing_id, now_ns)
        self._names[routing_id] = hello.node
        return None

    def heard(self, routing_id: bytes, now_ns: int) -> NodePeer | None:
        """Note a sign of life; None if whoever gives it has not said hello."""
        peer = self._of(routing_id)
        if peer is not None:
            self._peers[peer.name] = peer = replace(peer, heard_ns=now_ns)
        return peer

    def beat(self, peer: NodePeer, heartbeat: Heartbeat) -> None:
        """Note a heartbeat of that node."""
        self._peers[peer.name] = replace(peer, heartbeat=heartbeat)

    def get(self, name: str) -> NodePeer | None:
        """The newest start of a node; None if it is not here."""
        return self._peers.get(name)

    def lost(self, name: str, incarnation: int) -> bool:
        """Forget that start of a node, which has ended; False if it is not the one that is here."""
        self._ended[name] = max(incarnation, self._ended.get(name, -1))
        peer = self._peers.get(name)
        if peer is None or peer.incarnation > incarnation:
            return False
        self._remove(name)
        return True

    def peers(self) -> list[NodePeer]:
        """All nodes that are here."""
        return list(self._peers.values())

    def states(self, now_ns: int) -> dict[str, NodeState]:
        """How all nodes fare, by name."""
        return {peer.name: _state(peer, now_ns) for peer in self._peers.values()}

    def _of(self, routing_id: bytes) -> NodePeer | None:
        name = self._names.get(routing_id)
        return None if name is None else self._peers.get(name)

    def _remove(self, name: str) -> None:
        peer = self._peers.pop(name, None)
        if peer is not None:
            self._names.pop(peer.routing_id, None)


def _state(peer: NodePeer, now_ns: int) -> NodeState:
    silent_s = max(0, now_ns - peer.heard_ns) * _NS
    if peer.heartbeat is None:
        return NodeState(peer.name, peer.role, peer.incarnation, False, silent_s)
    beat = peer.heartbeat
    return NodeState(
        peer.name, peer.role, peer.incarnation, beat.ready, silent_s, beat.step_age_s, beat.steps, beat.text
    )
