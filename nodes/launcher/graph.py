"""A graph of nodes from its start to its end."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import zmq.asyncio

from ssa_stream.awake import AwakeClock
from ssa_stream.client.graph_state import GraphState
from ssa_stream.errors import ConfigError, SinkError, SsaStreamError
from ssa_stream.files import only_writer
from ssa_stream.keys import ClientKeys
from ssa_stream.nodes.broker import Broker
from ssa_stream.nodes.broker.saved_prompts import SavedPrompts
from ssa_stream.nodes.broker.sockets import within_reach
from ssa_stream.nodes.health import HealthView
from ssa_stream.nodes.launcher.absence import notice_absence
from ssa_stream.nodes.launcher.observer import GraphReport, Observer
from ssa_stream.nodes.launcher.placement import Placement, not_ready
from ssa_stream.nodes.launcher.processes import Command, ProcessPlacement, node_command
from ssa_stream.nodes.launcher.run_dir import remove_leftovers
from ssa_stream.nodes.launcher.supervisor import StartChild, Supervisor
from ssa_stream.nodes.pipeline import GATEWAY, PipelineConfig, check_pipeline_files
from ssa_stream.nodes.runtime.clock import Clock, MonotonicClock
from ssa_stream.nodes.runtime.descriptors import DescriptorReserve
from ssa_stream.nodes.runtime.logs import say
from ssa_stream.nodes.runtime.tasks import first_of, only_error
from ssa_stream.nodes.runtime.transport.segments import remove_segments

if TYPE_CHECKING:
    from ssa_stream.model import Stages

__all__ = ["Graph", "run_graph"]

_LOOK_S = 0.25
# What is not interrupted has time to close its outputs.
_UNHURRIED_STOP_S = 20.0


class Graph:
    """A graph of nodes; `run` it once.

    Args:
        config: What it consists of.
        keep: Go on when all sources have ended, until it is stopped.
        clock: Of all times.
        on_line: Called with each line that the process of a node writes to stderr.
        load_model: Makes the network of a fused graph; None: as `config.model` says.
        command: The command line of a node of a graph of processes.
        gateway: Where a gateway beside the graph says hello to the broker; None where there is none.
        saved: Prompts that clients changed, of an earlier graph and of this one, for `config`; its owner closes it.
            None: such prompts are forgotten.

    Attributes:
        config: What it consists of, without planned changes of streams that begin with a client's prompts.
        bound: Set while the addresses are; nodes are being started once they are.
        ready: Set once all nodes are ready.
        reserve: Descriptors for what must be done when others have taken all; held while it runs.
    """

    def __init__(
        self,
        config: PipelineConfig,
        *,
        keep: bool = False,
        clock: Clock | None = None,
        on_line: Callable[[str], None] = say,
        load_model: "Callable[[], Stages] | None" = None,
        command: Command = node_command,
        gateway: str | None = None,
        saved: SavedPrompts | None = None,
    ) -> None:
        self.config = config = config if saved is None else saved.adapted(config)
        self._saved = saved
        self.bound = asyncio.Event()
        self.ready = asyncio.Event()
        self.reserve = DescriptorReserve()
        self._keep = keep
        self._clock = clock or MonotonicClock()
        self._awake = AwakeClock(config.health.absence_s, self._clock.monotonic_ns)
        self._on_line = on_line
        self._load_model = load_model
        self._command = command
        self._gateway = gateway
        self._placement: Placement | None = None
        self._broker: Broker | None = None
        self._observer: Observer | None = None
        self._failed = asyncio.Event()
        self._failure: Exception | None = None
        self._is_interrupted = False

    @property
    def publish_address(self) -> str:
        """Where subscribers connect; known once it is bound."""
        return self._expect_broker().publish_address

    @property
    def requests_address(self) -> str:
        """Where clients connect; known once it is bound."""
        return self._expect_broker().requests_address

    @property
    def own_keys(self) -> ClientKeys | None:
        """With what programs that the launcher starts connect; None if everybody may. Known once it is bound."""
        return self._expect_broker().own_keys

    def health(self) -> HealthView | None:
        """How it fares now; None before it is bound."""
        return None if self._broker is None else self._broker.health()

    @property
    def report(self) -> GraphReport:
        """The figures so far."""
        state = GraphState() if self._observer is None else self._observer.state
        restarts = {} if self._placement is None else self._placement.restarts
        now_ns = self._clock.monotonic_ns()
        return GraphReport.of(state, self.config.streams, restarts, now_ns=now_ns, is_interrupted=self._is_interrupted)

    def pid(self, name: str) -> int | None:
        """The process of a node; None if it has none at the moment.

        Raises:
            SsaStreamError: The nodes of this graph are no processes.
        """
        child = self._processes().supervisors[name].child
        return None if child is None else child.pid

    def kill(self, name: str) -> None:
        """End the process of a node at once, as an accident would.

        Raises:
            SsaStreamError: The nodes of this graph are no processes.
        """
        self._processes().supervisors[name].kill()

    def supervise_gateway(self, start: StartChild) -> Supervisor:
        """What keeps the gateway beside the graph alive, as the nodes of a graph of processes are; not running yet.

        Args:
            start: Starts its process.
        Raises:
            SsaStreamError: The graph is not bound.
        """
        return Supervisor(GATEWAY, start, self._expect_broker(), self.config.health, self._awake)

    async def run(self, stop: asyncio.Event, on_ready: "Callable[[Graph], None]" = lambda graph: None) -> GraphReport:
        """Run until the sources have ended, `stop` is set or something fails; leaves nothing behind.

        Args:
            stop: Ends the graph in order.
            on_ready: Called once all nodes are ready.
        Raises:
            ConfigError: The settings are wrong, or an output would destroy a file.
            SinkError: Another graph saves its states in the same folder.
            SsaStreamError: A node failed for good, or did not get ready in time.
        """
        check_pipeline_files(self.config)
        with _only_graph_in(self.config.decoder.checkpoint):
            return await self._run(stop, on_ready)

    async def _run(self, stop: asyncio.Event, on_ready: "Callable[[Graph], None]") -> GraphReport:
        remove_leftovers(remove_segments)
        context = zmq.asyncio.Context()
        self.reserve.fill()
        try:
            self._placement = placement = self._place(context)
            try:
                await self._run_in(context, placement, stop, on_ready)
            finally:
                placement.close()
        except BaseExceptionGroup as group:
            raise only_error(group) from group
        finally:
            context.destroy(linger=0)
            self.reserve.drop()
        if self._failure is not None:
            raise self._failure
        return self.report

    def _place(self, context: zmq.asyncio.Context) -> Placement:
        if self.config.placement == "processes":
            return ProcessPlacement(self.config, self._awake, self._on_line, self._command, self.reserve)
        from ssa_stream.nodes.launcher.fused import FusedPlacement
        from ssa_stream.nodes.runtime.weights import WeightsLoader

        weights = WeightsLoader(self.config.model, window=self.config.session.window)
        load = self._load_model or weights.load
        return FusedPlacement(
            self.config, self._clock, context, load, awake=self._awake, weights=lambda: weights.fingerprint
        )

    async def _run_in(
        self,
        context: zmq.asyncio.Context,
        placement: Placement,
        stop: asyncio.Event,
        on_ready: "Callable[[Graph], None]",
    ) -> None:
        def on_node_ready(name: str) -> None:
            if name == GATEWAY:
                return
            placement.on_node_ready(name)
            if not placement.missing():
                self.ready.set()

        addresses = replace(placement.addresses, gateway=self._gateway)
        self._broker = broker = Broker(
            self.config,
            context,
            addresses,
            self._clock,
            reserve=self.reserve,
            on_node_ready=on_node_ready,
            awake=self._awake,
            reload=placement.reload,
            saved=self._saved,
        )
        address = within_reach(broker.publish_address)
        self._observer = observer = Observer(context, address, self.config.streams, self._clock, broker.own_keys)
        self.bound.set()
        broker_stop = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(broker.run(broker_stop), name="broker")
                watching = group.create_task(observer.run(), name="observer")
                attending = group.create_task(
                    notice_absence(self._awake, self.config.health.heartbeat_s, broker, self.ready.is_set),
                    name="absence",
                )
                nodes = group.create_task(placement.run(broker, self._on_failure), name="nodes")
                try:
                    await self._until_over(stop, on_ready)
                finally:
                    self._is_interrupted = stop.is_set()
                    is_hurried = stop.is_set() or self._failure is not None
                    await placement.stop(self.config.health.stop_timeout_s if is_hurried else _UNHURRIED_STOP_S)
                    await asyncio.wait([nodes])
                    watching.cancel()
                    await asyncio.wait([watching])
                    await observer.drain()
                    attending.cancel()
                    self.bound.clear()
                    broker_stop.set()
        finally:
            observer.close()

    async def _until_over(self, stop: asyncio.Event, on_ready: "Callable[[Graph], None]") -> None:
        """Until the sources have ended, somebody stops the graph or it fails."""
        timeout_s = self.config.health.start_timeout_s
        deadline_ns = self._awake.monotonic_ns() + timeout_s * 1e9
        while not await first_of(self.ready.wait(), stop.wait(), self._failed.wait(), timeout_s=_LOOK_S):
            if self._awake.monotonic_ns() > deadline_ns:
                assert self._placement is not None  # it was made before this
                self._on_failure(not_ready(self._placement.missing(), timeout_s))
        if stop.is_set() or self._failed.is_set():
            return
        on_ready(self)
        assert self._observer is not None  # likewise
        finished = [] if self._keep else [self._observer.finished.wait()]
        await first_of(stop.wait(), self._failed.wait(), *finished)

    def _on_failure(self, error: Exception) -> None:
        """The first failure is the one to tell; others follow from it."""
        self._failure = self._failure or error
        self._failed.set()

    def _expect_broker(self) -> Broker:
        if self._broker is None:
            raise SsaStreamError("the graph has not been started; its addresses are known once it is bound")
        return self._broker

    def _processes(self) -> ProcessPlacement:
        if not isinstance(self._placement, ProcessPlacement):
            raise SsaStreamError("the nodes of this graph are not running as processes; set placement: processes")
        return self._placement


@contextmanager
def _only_graph_in(folder: str | None) -> Iterator[None]:
    """Keep other graphs out of the folder of saved states.

    Raises:
        ConfigError: It cannot be made.
        SinkError: Another graph saves its states there.
    """
    if folder is None:
        yield
        return
    with ExitStack() as stack:
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
            stack.enter_context(only_writer(folder))
        except SinkError:  # an OSError, too
            raise
        except OSError as error:
            raise ConfigError(
                f"decoder.checkpoint is {folder}, where nothing can be saved ({error.strerror}); name another folder"
            ) from error
        yield


async def run_graph(
    config: PipelineConfig,
    *,
    stop: asyncio.Event,
    on_ready: Callable[[Graph], None] = lambda graph: None,
    keep: bool = False,
) -> GraphReport:
    """Run a graph until its sources have ended or `stop` is set.

    Args:
        config: What it consists of.
        stop: Ends the graph in order.
        on_ready: Called once all nodes are ready.
        keep: Go on when all sources have ended.
    Raises:
        ConfigError: The settings are wrong.
        SsaStreamError: A node failed for good, or did not get ready in time.
    """
    return await Graph(config, keep=keep).run(stop, on_ready)
