"""The broker: publishes what the nodes make, routes requests to them, and knows which of them live."""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Literal

import msgspec
import structlog
import zmq
import zmq.asyncio
from msgspec import UNSET, UnsetType

from ssa_stream.client.graph_state import GraphState
from ssa_stream.keys import ClientKeys, ServerKeys
from ssa_stream.nodes.broker.authenticator import ZapAuthenticator
from ssa_stream.nodes.broker.client_handler import MAX_PENDING, Answer, ClientHandler, Reload, Request
from ssa_stream.nodes.broker.connections import Connections
from ssa_stream.nodes.broker.counters import Counters
from ssa_stream.nodes.broker.liveness import NodeState
from ssa_stream.nodes.broker.load import LoadWatch
from ssa_stream.nodes.broker.mask_handler import MaskHandler
from ssa_stream.nodes.broker.node_handler import NodeHandler
from ssa_stream.nodes.broker.publisher import Publisher
from ssa_stream.nodes.broker.refusals import note
from ssa_stream.nodes.broker.saved_prompts import SavedPrompts
from ssa_stream.nodes.health import HealthView
from ssa_stream.nodes.pipeline import BROKER, GATEWAY, PipelineConfig, ingest_name, role_of
from ssa_stream.nodes.runtime.clock import Clock
from ssa_stream.nodes.runtime.descriptors import DescriptorReserve, file_limits, room_for_connections
from ssa_stream.nodes.runtime.metrics import LOG_LINES_LOST
from ssa_stream.protocols import (
    EVENTS,
    NODES,
    STATE,
    AnyMessage,
    Counter,
    Event,
    EventKind,
    Heartbeat,
    PromptReply,
    QueueDepth,
    Recover,
    Statistics,
    Topic,
    encode,
)
from ssa_stream.protocols.fields import MAX_PROMPTS
from ssa_stream.standard_streams import lines_lost

__all__ = ["Broker", "BrokerAddresses"]

REQUEST_TIMEOUT_S = 5.0
STATISTICS_EVERY_S = 1.0
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class BrokerAddresses:
    """Where the nodes of the graph reach the broker.

    Attributes:
        control: Handshakes, heartbeats, states and requests; `Transport.control_address`.
        masks: Masks on their way to subscribers, and which frames are finished; `Transport.publish_address`.
        gateway: As `control`, for a gateway beside the graph; None where there is none.
    """

    control: str
    masks: str
    gateway: str | None = None


class Broker:
    """What every node, subscriber and client of a graph speaks to.

    Binds its sockets when it is made and closes them when `run` ends. Nothing that comes from outside ends it: what
    cannot be read or has no place is counted and passed over.

    Attributes:
        publish_address: Where subscribers connect, as it was bound.
        requests_address: Where clients connect, as it was bound.
        own_keys: With what subscribers and clients in this process connect; None if everybody may.
        counters: What happened how often; published as statistics of `control`.
    """

    def __init__(
        self,
        config: PipelineConfig,
        context: zmq.asyncio.Context,
        addresses: BrokerAddresses,
        clock: Clock,
        *,
        reserve: DescriptorReserve | None = None,
        request_timeout_s: float = REQUEST_TIMEOUT_S,
        on_node_ready: Callable[[str], None] | None = None,
        awake: Clock | None = None,
        reload: Reload | None = None,
        saved: SavedPrompts | None = None,
    ) -> None:
        """Bind the sockets.

        Args:
            config: The graph. Only nodes and streams that it names are taken.
            context: For the sockets; its owner ends it.
            addresses: Where the nodes connect.
            clock: For heartbeats and events.
            reserve: Lends descriptors to read keys with; None for none.
            request_timeout_s: How long a request may wait for its node.
            on_node_ready: Called with the name of a node as soon as it takes work, once for each of its starts.
            awake: For silence and time-outs, which do not count while this process does not run; None takes `clock`.
            reload: Lets all nodes take other weights.
            saved: Prompts that clients changed, of an earlier graph and of this one; None: they are forgotten.
        Raises:
            ConfigError: `public.keys` is no folder of keys.
            TransportError: An address is taken, or is none.
        """
        self._clock, self._awake = clock, awake or clock
        self._heartbeat_s = config.health.heartbeat_s
        self._streams = tuple(config.streams)
        self._beat = 0
        self.counters = Counters()
        self._config = config
        self._take_weights = reload
        self._saved = saved
        self._unsaved: asyncio.Queue[tuple[str | None, PromptReply]] = asyncio.Queue(MAX_PENDING)
        self._beside = () if addresses.gateway is None else (GATEWAY,)
        self._state = GraphState(self._awake.monotonic_ns())
        self._load = LoadWatch(config, self._state)
        keys = None if config.public.keys is None else ServerKeys.load(config.public.keys)
        room = room_for_connections(config, file_limits()[0])
        with ExitStack() as opened:
            reserve = DescriptorReserve(0) if reserve is None else reserve
            self._authenticator = None if keys is None else ZapAuthenticator(context, keys, self.counters, reserve)
            if self._authenticator is not None:
                opened.callback(self._authenticator.close)
            self._connections = Connections(context, config.clients, room, self.counters, has_keys=keys is not None)
            opened.callback(self._connections.close)
            self._publisher = Publisher(context, config.public.publish, self._connections, self.counters, keys)
            opened.callback(self._publisher.close)
            self._clients = ClientHandler(
                context,
                config.public.requests,
                config.streams.keys(),
                self._pass_on,
                self._awake,
                self._connections,
                self.counters,
                timeout_s=request_timeout_s,
                keys=keys,
                reload=None if reload is None else self._reload,
            )
            opened.callback(self._clients.close)
            self._nodes = NodeHandler(
                context,
                addresses.control,
                config,
                self._publisher,
                self._awake,
                self.counters,
                self._state,
                gateway=addresses.gateway,
                saved=saved,
                on_answer=self._on_answer,
                on_restart=self._on_restart,
                on_ready=on_node_ready,
            )
            opened.callback(self._nodes.close)
            self._masks = MaskHandler(context, addresses.masks, self._publisher, self._nodes, self.counters)
            opened.callback(self._masks.close)
            self._opened = opened.pop_all()
        # Whoever comes later finds the sockets, should somebody have removed their files.
        self._files = [*self._nodes.files, *self._masks.files, *self._publisher.files, *self._clients.files]
        if config.public.is_open:
            _log.warning("other machines can watch and change everything; see `ssa-stream keys init`", node=BROKER)
        self.publish_address, self.requests_address = self._publisher.address, self._clients.address
        self.own_keys: ClientKeys | None = None if self._authenticator is None else self._authenticator.own

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then close the sockets."""
        jobs = (
            self._nodes.serve,
            self._clients.serve,
            self._clients.serve_reloads,
            self._masks.serve,
            self._tick,
            self._publisher.follow_subscriptions,
            self._publisher.replay,
            self._connections.serve,
            self._answer_when_saved,
            *([] if self._authenticator is None else [self._authenticator.serve]),
        )
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(job(), name=f"broker: {job.__name__}") for job in jobs]
                await stop.wait()
                for task in tasks:
                    task.cancel()
            await self._masks.serve_rest()
        finally:
            self.close()

    def put_off(self, name: str, why: str) -> None:
        """A node cannot be started now, for lack of what will be there again; it is counted.

        Args:
            name: The node.
            why: What is lacking.
        """
        self.counters.passed_over("starts_put_off", f"{name}: {why}")

    def close(self) -> None:
        """Close the sockets. `run` does so at its end; may be called again."""
        self._opened.close()

    def node_states(self) -> dict[str, NodeState]:
        """How every node fares that said hello and was not reported lost, by name."""
        return self._nodes.table.states(self._awake.monotonic_ns())

    def health(self) -> HealthView:
        """How the whole graph fares, nodes that are not here included."""
        return HealthView.of(self._state, self._awake.monotonic_ns(), self._config, self._beside)

    async def node_lost(self, name: str, incarnation: int, reason: str, text: str = "") -> None:
        """A node ended, or was ended because it hung: whoever waits for it is told.

        Args:
            name: The node.
            incarnation: Which start of it; that one is not taken in again.
            reason: Keyword for programs, such as `exited` or `hung`.
            text: For people.
        """
        self._nodes.table.lost(name, incarnation)
        last_words = self._heartbeat(name, role_of(name), incarnation, ready=False, text=f"lost: {text or reason}")
        await self._publish_state(Topic(NODES, STATE, name), last_words)
        stream = self._nodes.stream_of(name)
        if stream is not None:
            await self._clients.give_up(stream, f"the node of stream {stream!r} was lost")
            away = self._nodes.resume_points[stream].while_away(self._clock.monotonic_ns(), self._clock.name)
            if away is not None:
                await self._publish_state(Topic(stream, STATE), away)
        await self.publish_event(
            EventKind.NODE_LOST, stream=stream, severity="warning", about_node=name, text=_because(reason, text)
        )

    async def node_held(self, name: str, incarnation: int, text: str, *, is_wrong: bool) -> None:
        """A node is not there, on purpose, and its frames are missing as if it had been lost.

        Args:
            name: The node.
            incarnation: The last start of it; that one is not taken in again.
            text: Why, for people.
            is_wrong: Whether it waits for somebody to do something about its weights, of whom it is told now.
        """
        self._nodes.table.lost(name, incarnation)
        last_words = self._heartbeat(name, role_of(name), incarnation, ready=False, text=text)
        await self._publish_state(Topic(NODES, STATE, name), last_words)
        if is_wrong:
            await self.publish_event(EventKind.WEIGHTS_CHANGED, severity="error", about_node=name, text=text)

    async def recover(self, about_node: str, reason: str, text: str = "") -> None:
        """A node is back: streams that had frames in it begin a new epoch.

        A node that ingests was told where its stream goes on when it said hello, and no other stream was in it. No
        frame was in a gateway.

        Args:
            about_node: The node.
            reason: Keyword for programs: why it was lost.
            text: For people.
        """
        own_stream = self._nodes.stream_of(about_node)
        if own_stream is None and about_node != GATEWAY:
            for stream, points in self._nodes.resume_points.items():
                message = Recover(stream=stream, about_node=about_node, reason=reason, text=note(text))
                if await self._nodes.send(ingest_name(stream), message):
                    points.asked_to_recover()
        await self.publish_event(
            EventKind.NODE_RESTARTED,
            stream=own_stream,
            severity="warning",
            about_node=about_node,
            text=_because(reason, text),
        )

    async def publish_event(
        self,
        kind: EventKind,
        *,
        stream: str | None = None,
        severity: Literal["info", "warning", "error"] = "info",
        about_node: str | None = None,
        text: str = "",
    ) -> None:
        """Publish something that happened to the graph."""
        event = Event(
            kind=kind.value,
            node=BROKER,
            at_ns=self._clock.monotonic_ns(),
            clock=self._clock.name,
            stream=stream,
            severity=severity,
            about_node=about_node,
            text=note(text),
        )
        self._state.take(event, self._awake.monotonic_ns())
        await self._publisher.publish(Topic(stream or NODES, EVENTS), event)

    async def _reload(self) -> tuple[str, tuple[str, ...]]:
        assert self._take_weights is not None  # else nobody calls this
        weights, nodes = await self._take_weights()
        if nodes:
            text = f"{', '.join(nodes)} were started again with the weights {weights[:12]}"
            await self.publish_event(EventKind.WEIGHTS_RELOADED, severity="warning", text=text)
        return weights, nodes

    async def _pass_on(self, request: Request) -> bool:
        return await self._nodes.send(ingest_name(request.stream), request)

    async def _on_answer(self, stream: str | None, answer: Answer) -> bool:
        """Give an answer to its client; one about prompts not before they are saved, while other messages go on."""
        if self._saved is None or not isinstance(answer, PromptReply) or self._unsaved.full():
            return await self._clients.answer(stream, answer)
        if not (self._saved.is_writing or self._saved.problem):
            return await self._clients.answer(stream, answer)
        self._unsaved.put_nowait((stream, answer))
        return True

    async def _answer_when_saved(self) -> None:
        """Give the answers that wait for the disk. Runs until it is cancelled."""
        while True:
            answers = [await self._unsaved.get()]
            answers += [self._unsaved.get_nowait() for _ in range(self._unsaved.qsize())]
            assert self._saved is not None  # else none waits
            problem = await self._saved.settled()
            for stream, answer in answers:
                if problem:
                    text = note(f"the prompts are in force, but not saved for the next start: {problem}")
                    warnings = (*(answer.warnings or ()), text)[-MAX_PROMPTS:]
                    answer = msgspec.structs.replace(answer, warnings=warnings)
                if not await self._clients.answer(stream, answer):
                    self.counters.passed_over("answers_late", f"prompts of stream {stream}")

    async def _on_restart(self, stream: str) -> None:
        await self._clients.give_up(stream, f"the node of stream {stream!r} was restarted")

    async def _tick(self) -> None:
        every = max(1, round(STATISTICS_EVERY_S / self._heartbeat_s))
        while True:
            sign = self._heartbeat(
                BROKER, BROKER, 0, ready=True, beat=self._beat, queues=self._connections.queues, streams=self._streams
            )
            for peer in self._nodes.table.peers():
                await self._nodes.send(peer.name, sign)
            await self._publish_state(Topic(NODES, STATE, BROKER), sign)
            if self._beat % every == 0:
                await self._publish_state(Topic(NODES, STATE, BROKER), self._statistics(every * self._heartbeat_s))
                await self._tell_load()
            self._beat += 1
            for file in self._files:
                file.keep()
            await self._clients.expire()
            await asyncio.sleep(self._heartbeat_s)

    def _heartbeat(
        self,
        node: str,
        role: str,
        incarnation: int,
        *,
        ready: bool,
        beat: int = 0,
        text: str = "",
        queues: tuple[QueueDepth, ...] = (),
        streams: tuple[str, ...] | UnsetType = UNSET,
    ) -> Heartbeat:
        return Heartbeat(
            node=node,
            role=role,
            incarnation=incarnation,
            beat=beat,
            at_ns=self._clock.monotonic_ns(),
            clock=self._clock.name,
            ready=ready,
            queues=queues,
            text=note(text),
            streams=streams,
        )

    def _statistics(self, interval_s: float) -> Statistics:
        if lost := lines_lost():  # the broker speaks for its process, the launcher
            self.counters[LOG_LINES_LOST] = lost
        return Statistics(
            node=BROKER,
            role=BROKER,
            incarnation=0,
            at_ns=self._clock.monotonic_ns(),
            clock=self._clock.name,
            interval_s=interval_s,
            counters=tuple(Counter(name=name, value=value) for name, value in sorted(self.counters.items())),
        )

    async def _tell_load(self) -> None:
        """Publish whether the graph keeps up with its streams; that this changes is an event, and logged."""
        for news in self._load.look(self._awake.monotonic_ns(), self._clock.monotonic_ns(), self._clock.name):
            stream = news.load.stream
            await self._publish_state(Topic(stream, STATE), news.load)
            if news.event is not None:
                begins = news.event is EventKind.OVERLOAD
                (_log.warning if begins else _log.info)(str(news.event), stream=stream, text=news.text)
                severity: Literal["info", "warning"] = "warning" if begins else "info"
                await self.publish_event(news.event, stream=stream, severity=severity, text=news.text)

    async def _publish_state(self, topic: Topic, message: AnyMessage) -> None:
        self._state.take(message, self._awake.monotonic_ns())
        header = encode(message)[1]
        await self._publisher.publish_state(topic, str(message.__struct_config__.tag), header)


def _because(reason: str, text: str) -> str:
    return f"{reason}: {text}" if text else reason
