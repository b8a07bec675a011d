"""One process per node, each with a supervisor."""

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ssa_stream.errors import SsaStreamError
from ssa_stream.nodes.broker import Broker, BrokerAddresses
from ssa_stream.nodes.launcher.child import Child
from ssa_stream.nodes.launcher.claims import OutputClaims
from ssa_stream.nodes.launcher.placement import ROLE_SHARE, OnFailure, in_order_of_work
from ssa_stream.nodes.launcher.run_dir import RunDir
from ssa_stream.nodes.launcher.supervisor import Supervisor
from ssa_stream.nodes.launcher.weights import GraphWeights
from ssa_stream.nodes.pipeline import MASKS, PipelineConfig, role_of
from ssa_stream.nodes.runtime.clock import Clock
from ssa_stream.nodes.runtime.descriptors import DescriptorReserve
from ssa_stream.nodes.runtime.logs import log_arguments
from ssa_stream.nodes.runtime.transport.interface import CONTROL_LINK, PUBLISH_LINK
from ssa_stream.nodes.runtime.transport.segments import remove_segments, segment_prefix
from ssa_stream.nodes.runtime.transport.socket_files import KEEP_S

__all__ = ["Command", "ProcessPlacement", "node_command"]

_LOOK_S = 0.25
Command = Callable[[str, int, RunDir], Sequence[str]]
"""The command line of a node, by its name and incarnation."""


def node_command(name: str, incarnation: int, run_dir: RunDir) -> list[str]:
    """The command line of a node. `-P`: nothing in the present folder stands for a module."""
    return [
        sys.executable,
        "-P",
        "-m",
        f"ssa_stream.nodes.{role_of(name)}",
        f"--pipeline={run_dir.pipeline}",
        f"--name={name}",
        f"--run-dir={run_dir.path}",
        f"--incarnation={incarnation}",
        *log_arguments(),
    ]


class ProcessPlacement:
    """Starts, watches and ends the processes of a graph. Imports no torch.

    Args:
        config: The graph.
        clock: Measures time.
        on_line: Called with each line that a node writes to stderr.
        command: Gives the command line of a node.
        reserve: Lends descriptors to start processes with; None for none.
    """

    def __init__(
        self,
        config: PipelineConfig,
        clock: Clock,
        on_line: Callable[[str], None],
        command: Command = node_command,
        reserve: DescriptorReserve | None = None,
    ) -> None:
        self._config = config
        self._clock = clock
        self._on_line = on_line
        self._command = command
        self._reserve = DescriptorReserve(0) if reserve is None else reserve
        self._supervisors: dict[str, Supervisor] = {}
        self._ready: set[str] = set()
        self._is_stopping = False
        self._weights = GraphWeights(config.model)
        self._claims = OutputClaims(config)
        self.run_dir = RunDir(config, remove_segments)
        self.run_dir.make()

    @property
    def addresses(self) -> BrokerAddresses:
        """Sockets in the run's folder."""
        return BrokerAddresses(_socket(self.run_dir.path, CONTROL_LINK), _socket(self.run_dir.path, PUBLISH_LINK))

    @property
    def restarts(self) -> Mapping[str, int]:
        """Restarts so far, of nodes that were restarted."""
        return {name: one.restarts for name, one in self._supervisors.items() if one.restarts}

    @property
    def supervisors(self) -> Mapping[str, Supervisor]:
        """By node, once `run` has begun."""
        return self._supervisors

    def on_node_ready(self, name: str) -> None:
        """Remember it, let its supervisor look, and claim what it writes."""
        self._ready.add(name)
        if name in self._supervisors:
            self._supervisors[name].look()
            if name == MASKS:
                self._claims.take(self._supervisors[name].restarts)

    def missing(self) -> Mapping[str, str]:
        """Nodes that were not ready yet, and what keeps them."""
        return {
            name: self._supervisors[name].state_text if name in self._supervisors else "it was not started"
            for name in self._config.node_names
            if name not in self._ready
        }

    async def run(self, broker: Broker, on_failure: OnFailure) -> None:
        """Start all nodes at once, and keep them alive until `stop` was called and they have ended."""
        if self._is_stopping:
            return
        try:
            await self._weights.take()
        except SsaStreamError as error:
            on_failure(error)
            return
        if self._is_stopping:
            return
        health, weights = self._config.health, self._weights
        self._supervisors = {
            name: Supervisor(name, self._start, broker, health, self._clock, weights.problem)
            for name in self._config.node_names
        }
        keeping = asyncio.create_task(_keep(self.run_dir), name="folder of the run")
        try:
            async with asyncio.TaskGroup() as group:
                for supervisor in self._supervisors.values():
                    group.create_task(_guarded(supervisor, on_failure), name=f"supervisor of {supervisor.name}")
        finally:
            keeping.cancel()
            await asyncio.wait([keeping])

    async def reload(self) -> tuple[str, tuple[str, ...]]:
        """Let all nodes take the weights that are there now, if they can be loaded.

        Nodes that have weights are all ended before the first of them begins with the new ones. Streams begin a new
        epoch; sources and prompts stay.

        Returns:
            Their fingerprint, and the nodes that were started again.
        Raises:
            SsaStreamError: They are not taken, or a node is not ready with them in time.
        """
        weights = await self._weights.verified()
        if weights.fingerprint == self._weights.fingerprint:
            return weights.fingerprint, ()
        nodes = [one for name, one in self._supervisors.items() if role_of(name) != "ingest"]
        health = self._config.health
        try:
            await asyncio.gather(*(node.hold(health.stop_timeout_s) for node in nodes))
            self._weights.adopt(weights)
        finally:
            for node in nodes:
                node.release()
        deadline_ns = self._clock.monotonic_ns() + health.start_timeout_s * 1e9
        while late := [node.name for node in nodes if not node.is_up]:
            if self._clock.monotonic_ns() > deadline_ns:
                raise SsaStreamError(
                    f"the weights were taken, but {', '.join(late)} not ready within {health.start_timeout_s:g} s"
                )
            await asyncio.sleep(health.heartbeat_s)
        return weights.fingerprint, tuple(node.name for node in nodes)

    async def stop(self, timeout_s: float) -> None:
        """End the nodes in the order of work; kill those that still run at the end of the time."""
        self._is_stopping = True
        deadline_ns = self._clock.monotonic_ns() + timeout_s * 1e9
        for names in in_order_of_work(self._supervisors):
            share_s = min(ROLE_SHARE * timeout_s, max(0.0, (deadline_ns - self._clock.monotonic_ns()) / 1e9))
            await asyncio.gather(*(self._supervisors[name].end(share_s) for name in names))
        everyone = self._supervisors.values()
        # In short waits: one that began before this process was stopped would be over when it goes on.
        while not all(one.has_ended for one in everyone):
            left_s = (deadline_ns - self._clock.monotonic_ns()) / 1e9
            if left_s <= 0:
                break
            await asyncio.gather(*(one.end(min(left_s, _LOOK_S)) for one in everyone))
        for supervisor in everyone:
            supervisor.kill()

    def close(self) -> None:
        """Remove the run's folder and what is left of shared memory."""
        self._weights.close()
        self._claims.close()
        with self._reserve.lent():
            self.run_dir.remove()

    async def _start(self, name: str, incarnation: int) -> Child:
        with self._reserve.lent():
            remove_segments(segment_prefix(self.run_dir.path), node=name)  # of an earlier start that could not do it
            self.run_dir.write_pipeline()
            command = [*self._command(name, incarnation, self.run_dir), f"--weights={self._weights.fingerprint}"]
            return await Child.start(name, incarnation, command, self._on_line)


def _socket(run_dir: Path, name: str) -> str:
    return f"ipc://{run_dir}/{name}.sock"


async def _keep(run_dir: RunDir) -> None:
    """See that the folder is there, until cancelled; sockets in it are bound again by those who listen there."""
    while True:
        run_dir.keep()
        await asyncio.sleep(KEEP_S)


async def _guarded(supervisor: Supervisor, on_failure: OnFailure) -> None:
    """A node that is lost for good ends the graph in order, not at once."""
    try:
        await supervisor.run()
    except Exception as error:  # not swallowed: it is what the graph ends with
        on_failure(error)
