"""What a node gets to run with."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ssa_stream.nodes.pipeline import PipelineConfig
from ssa_stream.nodes.runtime.broker_link import BrokerLink
from ssa_stream.nodes.runtime.clock import Clock
from ssa_stream.nodes.runtime.executor import ModelExecutor
from ssa_stream.nodes.runtime.metrics import NodeMetrics
from ssa_stream.nodes.runtime.transport.interface import Inlet, Transport

if TYPE_CHECKING:
    from ssa_stream.model import Stages

__all__ = ["NodeContext", "RunNode"]


@dataclass(frozen=True, kw_only=True)
class NodeContext:
    """Everything of the outside that a node uses; the node owns none of it.

    Attributes:
        name: Of the node, such as `encoder-0`.
        role: What it does.
        incarnation: Another number for every start of it.
        transport: Makes its links.
        broker: Its link to the broker, open.
        clock: Of all times.
        awake: Of waits and silence: it does not count the time in which this process did not run.
        stop: Set when the node shall end.
        executor: Where model work runs.
        metrics: What it counts.
        settings: Of the whole graph.
        load_model: Gives the network, or the part of it that the node computes with; to be run in the executor. Nodes
            of one process share the whole one.
    """

    name: str
    role: str
    incarnation: int
    transport: Transport
    broker: BrokerLink
    clock: Clock
    awake: Clock
    stop: asyncio.Event
    executor: ModelExecutor
    metrics: NodeMetrics
    settings: PipelineConfig
    load_model: "Callable[[], Stages]"

    def inlet(self) -> Inlet:
        """Where messages to this node arrive; what cannot be read is counted in its metrics."""
        return self.transport.inlet(self.name, metrics=self.metrics)


RunNode = Callable[[NodeContext], Awaitable[None]]
"""Runs a node until its `stop` is set: the `run` of a role's module."""
