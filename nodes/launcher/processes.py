"""One process per node, each with a supervisor."""

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ssa_stream.nodes.broker import Broker, BrokerAddresses
from ssa_stream.nodes.launcher.child import Child
from ssa_stream.nodes.launcher.placement import ROLE_SHARE, OnFailure, in_order_of_work
from ssa_stream.nodes.launcher.run_dir import RunDir
from ssa_stream.nodes.launcher.supervisor import Supervisor
from ssa_stream.nodes.pipeline import PipelineConfig, role_of, save_pipeline
from ssa_stream.nodes.runtime.clock import Clock
from ssa_stream.nodes.runtime.descriptors import DescriptorReserve
from ssa_stream.nodes.runtime.transport.interface import CONTROL_LINK, PUBLISH_LINK
from ssa_stream.nodes.runtime.transport.segments import remove_segments, segment_prefix

__all__ = ["Command", "ProcessPlacement", "node_command"]

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
        self.run_dir = RunDir(config, remove_segments)
        self.run_dir.make()
        save_pipeline(config, self.run_dir.pipeline)

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
        """Remember it, and let its supervisor look."""
        self._ready.add(name)
        if name in self._supervisors:
            self._supervisors[name].look()

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
        health = self._config.health
        self._supervisors = {
            name: Supervisor(name, self._start, broker, health, self._clock) for name in self._config.node_names
        }
        async with asyncio.TaskGroup() as group:
            for supervisor in self._supervisors.values():
                group.create_task(_guarded(supervisor, on_failure), name=f"supervisor of {supervisor.name}")

    async def stop(self, timeout_s: float) -> None:
        """End the nodes in the order of work; kill those that still run at the end of the time."""
        self._is_stopping = True
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + timeout_s
        for names in in_order_of_work(self._supervisors):
            share_s = min(ROLE_SHARE * timeout_s, max(0.0, deadline_s - loop.time()))
            await asyncio.gather(*(self._supervisors[name].end(share_s) for name in names))
        everyone = self._supervisors.values()
        await asyncio.gather(*(one.end(max(0.0, deadline_s - loop.time())) for one in everyone))
        for supervisor in everyone:
            supervisor.kill()

    def close(self) -> None:
        """Remove the run's folder and what is left of shared memory."""
        with self._reserve.lent():
            self.run_dir.remove()

    async def _start(self, name: str, incarnation: int) -> Child:
        with self._reserve.lent():
            remove_segments(segment_prefix(self.run_dir.path), node=name)  # of an earlier start that could not do it
            return await Child.start(name, incarnation, self._command(name, incarnation, self.run_dir), self._on_line)


def _socket(run_dir: Path, name: str) -> str:
    return f"ipc://{run_dir}/{name}.sock"


async def _guarded(supervisor: Supervisor, on_failure: OnFailure) -> None:
    """A node that is lost for good ends the graph in order, not at once."""
    try:
        await supervisor.run()
    except Exception as error:  # not swallowed: it is what the graph ends with
        on_failure(error)
