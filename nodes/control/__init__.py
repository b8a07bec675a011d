"""Control: the hub that every node, subscriber and client of a graph speaks to. Imports no torch."""

from ssa_stream.nodes.control.hub import Hub, HubAddresses
from ssa_stream.nodes.control.liveness import NodeState

__all__ = ["Hub", "HubAddresses", "NodeState"]
