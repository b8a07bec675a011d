"""All nodes in one event loop, with one network and one thread for its work."""

import asyncio
import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import zmq.asyncio

from ssa_stream.errors import SsaStreamError
from ssa_stream.nodes.broker import Broker, BrokerAddresses
from ssa_stream.nodes.launcher.placement import ROLE_SHARE, OnFailure, in_order_of_work
from ssa_stream.nodes.pipeline import PipelineConfig, role_of
from ssa_stream.nodes.runtime.broker_link import BrokerLink, LinkTimes
from ssa_stream.nodes.runtime.clock import Clock
from ssa_stream.nodes.runtime.executor import ModelExecutor
from ssa_stream.nodes.runtime.metrics import NodeMetrics
from ssa_stream.nodes.runtime.node import NodeContext, RunNode
from ssa_stream.nodes.runtime.transport.in_process import InProcessTransport

if TYPE_CHECKING:
    from ssa_stream.model import Stages

__all__ = ["FusedPlacement"]

_LOOK_S = 0.25


def _run_of(role: str) -> RunNode:
    """What runs a node of a role; importing the nodes imports torch."""
    from ssa_stream.nodes.decoder import node as decoder
    from ssa_stream.nodes.encoder import node as encoder
    from ssa_stream.nodes.ingest import node as ingest
    from ssa_stream.nodes.masks import node as masks
    from ssa_stream.nodes.queries import node as queries

    by_role: dict[str, RunNode] = {
        "ingest": ingest.run,
        "encoder": encoder.run,
        "queries": queries.run,
        "decoder": decoder.run,
        "masks": masks.run,
    }
    return by_role[role]


class FusedPlacement:
    """Runs the nodes of a graph as tasks. A node that fails is a failure of the graph.

    Args:
        config: The graph.
        clock: Of all times.
        context: Of all sockets.
        load_model: Makes the network; called once, in the thread for model work.
        awake: Of waits, silence and steps, which do not count while this process does not run; None takes `clock`.
        run_of: The `run` of a role's module.
        weights: Fingerprint of the network's weights, once it is made.
    """

    def __init__(
        self,
        config: PipelineConfig,
        clock: Clock,
        context: zmq.asyncio.Context,
        load_model: "Callable[[], Stages]",
        run_of: Callable[[str], RunNode] = _run_of,
        awake: Clock | None = None,
        weights: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._config = config
        self._clock, self._awake = clock, awake or clock
        self._transport = InProcessTransport(context, config.name, clock=clock)
        self._load_model = functools.cache(load_model)
        self._run_of = run_of
        self._weights = weights
        self._stops = {name: asyncio.Event() for name in config.node_names}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ready: set[str] = set()
        self._beginning: asyncio.Future[dict[str, RunNode]] | None = None
        self._is_stopping = self._is_loaded = False

    @property
    def addresses(self) -> BrokerAddresses:
        """Sockets within the process."""
        return BrokerAddresses(self._transport.control_address, self._transport.publish_address)

    @property
    def restarts(self) -> Mapping[str, int]:
        """None: the graph ends with its first failure."""
        return {}

    def on_node_ready(self, name: str) -> None:
        """Remember it."""
        self._ready.add(name)

    def missing(self) -> Mapping[str, str]:
        """Nodes that were not ready yet."""
        return {name: "it is getting ready" for name in self._config.node_names if name not in self._ready}

    async def run(self, broker: Broker, on_failure: OnFailure) -> None:
        """Run all nodes until `stop` was called and they have ended.

        The thread is left behind if it is importing or loading the network then: nothing can interrupt that.
        """
        executor = ModelExecutor(self._config.model.threads)
        try:
            # Importing the network takes seconds; the loop must turn for the broker's heartbeats meanwhile.
            self._beginning = asyncio.ensure_future(executor.run(self._runs))
            await asyncio.wait([self._beginning])
            if self._is_stopping:
                return
            runs = self._beginning.result()
            async with asyncio.TaskGroup() as group:
                for name in self._config.node_names:
                    work = self._run_node(name, runs[role_of(name)], executor, on_failure)
                    self._tasks[name] = group.create_task(work, name=name)
        finally:
            if self._beginning is not None:
                self._beginning.cancel()
            executor.close(wait=self._is_loaded)

    def _runs(self) -> dict[str, RunNode]:
        runs = dict[str, RunNode]()
        for role in sorted({role_of(name) for name in self._config.node_names}):
            if not self._is_stopping:
                runs[role] = self._run_of(role)
        return runs

    async def stop(self, timeout_s: float) -> None:
        """End the nodes in the order of work; cancel those that still run at the end of the time.

        Those that wait for the network are cancelled at once.
        """
        self._is_stopping = True
        if self._beginning is not None:
            self._beginning.cancel()
        if not self._is_loaded:
            for name, task in self._tasks.items():
                if name not in self._ready:
                    task.cancel()
        deadline_ns = self._awake.monotonic_ns() + timeout_s * 1e9
        for names in in_order_of_work(self._stops):
            for name in names:
                self._stops[name].set()
            tasks = [self._tasks[name] for name in names if name in self._tasks]
            if tasks:
                left_s = max(0.0, (deadline_ns - self._awake.monotonic_ns()) / 1e9)
                await asyncio.wait(tasks, timeout=min(ROLE_SHARE * timeout_s, left_s))
        # In short waits: one that began before this process was stopped would be over when it goes on.
        late = {task for task in self._tasks.values() if not task.done()}
        while late and (left_s := (deadline_ns - self._awake.monotonic_ns()) / 1e9) > 0:
            _, late = await asyncio.wait(late, timeout=min(left_s, _LOOK_S))
        for task in late:
            task.cancel()

    async def reload(self) -> tuple[str, tuple[str, ...]]:
        """Refuse: all nodes share one network, and hold parts of it."""
        raise SsaStreamError(
            "this graph is one process (placement: fused), which keeps the network that it began with; end it and "
            "start it again, or run it with placement: processes"
        )

    def _load_for(self, metrics: NodeMetrics) -> "Stages":
        network = self._load_model()
        self._is_loaded = True
        metrics.weights = self._weights()
        return network

    def close(self) -> None:
        """Take all links down."""
        self._transport.close()

    async def _run_node(self, name: str, run: RunNode, executor: ModelExecutor, on_failure: OnFailure) -> None:
        role, health, stop = role_of(name), self._config.health, self._stops[name]
        metrics = NodeMetrics(name, role, 0, self._clock, self._awake)
        link = BrokerLink(
            self._transport.context,
            self._transport.control_address,
            metrics,
            name=name,
            role=role,
            incarnation=0,
            clock=self._clock,
            stop=stop,
            times=LinkTimes(heartbeat_s=health.heartbeat_s, heartbeat_timeout_s=health.heartbeat_timeout_s),
            broker_lives=lambda: True,  # it runs in this very loop
        )
        try:
            async with link:
                await run(
                    NodeContext(
                        name=name,
                        role=role,
                        incarnation=0,
                        transport=self._transport,
                        broker=link,
                        clock=self._clock,
                        awake=self._awake,
                        stop=stop,
                        executor=executor.of_role(role).measured(metrics.busy),
                        metrics=metrics,
                        settings=self._config,
                        load_model=functools.partial(self._load_for, metrics),
                    )
                )
            if not stop.is_set():
                on_failure(SsaStreamError(f"{name} ended, though nobody asked it to"))
        except Exception as error:  # not swallowed: it is what the graph ends with
            on_failure(error)
