"""The broker, to which every node, subscriber and client of a graph connects. Imports no torch."""

from ssa_stream.nodes.broker.broker import Broker, BrokerAddresses
from ssa_stream.nodes.broker.liveness import NodeState

__all__ = ["Broker", "BrokerAddresses", "NodeState"]
