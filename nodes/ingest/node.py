"""Node `ingest`: the source of one stream, its frame numbers, its prompts, and its frames in flight.

Inputs: the source; from the broker where the stream begins, requests, and `Finished` of the masks node.
Step: resize a frame, number it, attach the prompts, keep it until it is finished.
Outputs: `FrameMessage` to an encoder; `PictureMessage` to the masks node if that draws on pictures or sends
them; states and events to the broker.
"""

import asyncio
import functools
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import structlog

from ssa_stream.errors import ConfigError, MessageError
from ssa_stream.nodes.ingest.dispatcher import Outgoing, OutgoingEnd, OutgoingFrame, StreamRules
from ssa_stream.nodes.ingest.in_flight import Position
from ssa_stream.nodes.ingest.picture import Edges, Picture, network_edges, prepare
from ssa_stream.nodes.ingest.player import OpenSource, SourcePlayer
from ssa_stream.nodes.ingest.prompt_check import PromptCheck
from ssa_stream.nodes.ingest.prompts import PromptRequest, changed_book
from ssa_stream.nodes.ingest.stream import IngestStream
from ssa_stream.nodes.pipeline import MASKS, stream_of
from ssa_stream.nodes.runtime.broker_link import BrokerRequest
from ssa_stream.nodes.runtime.node import NodeContext
from ssa_stream.nodes.runtime.tasks import only_error
from ssa_stream.nodes.runtime.transport.interface import Outlet
from ssa_stream.nodes.runtime.transport.payload import OutgoingPayload
from ssa_stream.protocols import (
    Accepted,
    DropReason,
    ErrorCode,
    ErrorReply,
    EventKind,
    Finished,
    FrameMessage,
    PictureMessage,
    Prompt,
    PromptReply,
    Recover,
    SetParameters,
    SourceRequest,
    SourceState,
    StartStream,
)
from ssa_stream.sources import Frame, OnState, Source, open_source

__all__ = ["run"]

_SEND_S = 1.0
"""A frame that no encoder takes for so long, or whose picture the masks node does not take, is tried again, or lost if
it is live."""
_STATE_S = 0.25
"""Longest time between two states while frames come."""
_LOG = structlog.get_logger()


async def run(node: NodeContext, *, opener: OpenSource | None = None) -> None:
    """Run the node until its `stop` is set.

    Args:
        node: What it runs with. Its name says which stream.
        opener: Opens sources; None takes `open_source`.
    Raises:
        ConfigError: The pipeline has no such stream, or says what its source cannot be.
        CheckpointError: The checkpoint that says the network's size cannot be read.
    """
    name = stream_of(node.name)
    if name not in node.settings.streams:
        raise ConfigError(
            f"node {node.name}: the pipeline has no stream {name!r}, only {', '.join(node.settings.streams)}"
        )
    edges = await node.executor.run(network_edges, node.settings)
    ingest = _Ingest(node, name)
    player = SourcePlayer(
        ingest.stream,
        open_source=opener or _open,
        prepare=ingest.prepare(edges),
        max_prompts=node.settings.session.max_prompts,
    )
    try:
        node.broker.mark_ready()
        await _until_stop(
            node.stop,
            player.run(),
            ingest.answer(player),
            ingest.send(),
            ingest.publish_states(),
            ingest.check_prompts(),
        )
    finally:
        ingest.close()


def _open(address: str, live: bool | None, on_state: OnState) -> Source:
    return open_source(address, live=live, on_state=on_state)


async def _until_stop(stop: asyncio.Event, *parts: Any) -> None:
    """Run the parts of a node until it is told to stop; the first error of one ends all."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(part) for part in parts]
            await stop.wait()
            for task in tasks:
                task.cancel()
    except BaseExceptionGroup as errors:
        raise only_error(errors) from None


class _Ingest:
    """The tasks of the node, except for the source."""

    def __init__(self, node: NodeContext, name: str) -> None:
        self._node = node
        settings = node.settings
        rules = StreamRules(
            stream=name,
            node=node.name,
            clock=node.clock.name,
            window=settings.session.window,
            lookahead=settings.session.lookahead,
            capacity=settings.frames_in_flight,
            max_gap_s=settings.session.max_gap_s,
            frame_interval_s=settings.session.frame_interval_s,
        )
        self.stream = IngestStream(
            settings.streams[name], rules, broker=node.broker, metrics=node.metrics, now_ns=node.clock.monotonic_ns
        )
        self._prompt_check = PromptCheck(settings.model, node.executor)
        self._encoders: Outlet = node.transport.outlet(settings.encoder_names)
        needs_pictures = bool(self.stream.section.outputs) or node.settings.masks.sends_pictures
        self._masks: Outlet | None = node.transport.outlet([MASKS]) if needs_pictures else None
        self._last_picture: Position | None = None  # that the masks node took

    def close(self) -> None:
        """Take the links down."""
        for link in (self._encoders, self._masks):
            if link is not None:
                link.close()

    # -- frames

    def prepare(self, edges: Edges) -> Callable[[Frame], Picture]:
        """What makes pictures for the network of frames, its time counted."""
        metrics, now_ns = self._node.metrics, self._node.clock.monotonic_ns

        def work(frame: Frame) -> Picture:
            with metrics.busy():
                return prepare(frame, edges=edges, now_ns=now_ns)

        return work

    async def send(self) -> None:
        """Send what is admitted, and again what a restart of a node lost."""
        stream = self.stream
        await stream.changed.until(lambda: stream.is_started)
        while True:
            outgoing = stream.tracker.take_next(self._node.clock.monotonic_ns())
            if outgoing is None:
                await stream.changed.until(lambda: stream.tracker.has_unsent)
                continue
            await self._send(outgoing)
            self._report_in_flight()
            stream.changed.notify()

    def _report_in_flight(self) -> None:
        self._node.metrics.queue("in_flight", self.stream.tracker.unfinished, self.stream.rules.capacity)

    async def _send(self, outgoing: Outgoing) -> None:
        tracker = self.stream.tracker
        try:
            match outgoing:
                case OutgoingFrame():
                    is_sent = await self._send_picture(outgoing) and await self._send_frame(outgoing)
                case OutgoingEnd(notice=notice):
                    is_sent = await self._encoders.send(notice, timeout_s=_SEND_S)
        except MessageError as error:  # no reader would take it: beyond the limits of the protocol
            tracker.give_up(outgoing)
            self.stream.passed_over(DropReason.FAILED, 1)
            self.stream.event(
                EventKind.FRAMES_DROPPED, severity="error", reason=DropReason.FAILED, frames_lost=1, text=str(error)
            )
            return
        if is_sent:
            tracker.was_sent(outgoing)
            self._node.metrics.count("frames_sent", stream=self.stream.rules.stream)
        elif tracker.was_not_sent(outgoing):
            self.stream.passed_over(DropReason.QUEUE_FULL, 1)

    async def _send_picture(self, outgoing: OutgoingFrame) -> bool:
        """The picture as it came, to who uses it: before the frame, so that it is there when masks are.

        Returns:
            Whether the frame may follow. Without its picture it would be waited for at the masks node, and hold up all
            frames behind it.
        """
        if self._masks is None or self._last_picture == outgoing.position:  # the frame alone is tried again
            return True
        payload = OutgoingPayload()
        message = PictureMessage(frame=outgoing.work.frame, image=payload.add_array(outgoing.picture.frame.image))
        if not await self._masks.send(message, payload, timeout_s=_SEND_S):
            self._node.metrics.count("pictures_not_sent", stream=self.stream.rules.stream)
            return False
        self._last_picture = outgoing.position
        return True

    async def _send_frame(self, outgoing: OutgoingFrame) -> bool:
        stage = outgoing.work.times[-1]
        self._node.metrics.latency("ingest", (stage.end_ns - stage.received_ns) / 1e6, self.stream.rules.stream)
        payload = OutgoingPayload()
        image = payload.add_array(outgoing.picture.image)
        history = tuple(payload.add_array(earlier) for earlier in outgoing.history)
        message = FrameMessage(work=outgoing.work, image=image, history=history)
        return await self._encoders.send(message, payload, timeout_s=_SEND_S)

    async def publish_states(self) -> None:
        """Tell at once what others act on or a restart needs, and of the rest often enough while frames come."""
        stream = self.stream
        await stream.changed.until(lambda: stream.is_started)
        last: SourceState | None = None
        while True:
            state = stream.source_state()
            has_figures = last is not None and (state.status == "running" or state.rate_hz != last.rate_hz)
            is_due = has_figures and last is not None and state.at_ns - last.at_ns >= _STATE_S * 1e9
            if last is None or is_due or _is_news(state, last):
                self._node.broker.publish(state)
                last = state
            await stream.changed.wait(_STATE_S)

    # -- requests

    async def answer(self, player: SourcePlayer) -> None:
        """Do what the broker asks."""
        async for request in self._node.broker.requests():
            reply = self._answer(request, player)
            if isinstance(reply, PromptReply):
                warnings = tuple((await self._misunderstood(reply.prompts)).values())
                reply = msgspec.structs.replace(reply, warnings=warnings or msgspec.UNSET)
            if reply is not None:
                self._node.broker.reply(reply)

    async def check_prompts(self) -> None:
        """Tell of every new prompt that the network does not understand to its end."""
        stream, told = self.stream, set[Prompt]()
        await stream.changed.until(lambda: stream.is_started)
        while True:
            prompts = stream.tracker.prompts
            new = [prompt for prompt in prompts if prompt not in told]
            told = set(prompts)
            for name, text in (await self._misunderstood(new)).items():
                stream.event(EventKind.INPUT_WARNING, severity="warning", prompt_id=name, text=text)
            await stream.changed.until(functools.partial(self._has_others, prompts))

    def _has_others(self, prompts: tuple[Prompt, ...]) -> bool:
        return self.stream.tracker.prompts != prompts

    async def _misunderstood(self, prompts: Iterable[Prompt]) -> dict[str, str]:
        return await self._prompt_check.warnings((prompt.id, prompt.text) for prompt in prompts)

    def _answer(self, request: BrokerRequest, player: SourcePlayer) -> PromptReply | Accepted | ErrorReply | None:
        stream = self.stream
        if isinstance(request, Finished):
            self._take_back(request)
            return None
        if request.stream != stream.rules.stream:
            return _refused(request, ErrorCode.UNKNOWN_STREAM, f"this node has the stream {stream.rules.stream}")
        if isinstance(request, StartStream):
            if stream.is_started:
                _LOG.warning("stream is started already", stream=request.stream)
            else:
                stream.start(request)
            return None
        if not stream.is_started:
            return _refused(request, ErrorCode.UNAVAILABLE, "the stream has not begun yet; ask again in a second")
        match request:
            case Recover():
                self._recover(request)
                return None
            case SourceRequest():
                _order(player, request)
                return Accepted(request_id=request.request_id, stream=request.stream, epoch=stream.tracker.epoch)
            case SetParameters(parameters=parameters):
                text = f"parameters {', '.join(parameters) or '(none)'}: no parameter of a stream can be changed"
                return _refused(request, ErrorCode.INVALID, text)
            case _:
                return self._change_prompts(request)

    def _take_back(self, finished: Finished) -> None:
        """Take back the room of frames that are finished."""
        stream = self.stream
        if finished.stream == stream.rules.stream and stream.is_started:
            stream.received(stream.tracker.finish(Position(finished.epoch, finished.seq)))
            self._report_in_flight()
            stream.changed.notify()

    def _change_prompts(self, request: PromptRequest) -> PromptReply | ErrorReply:
        stream = self.stream
        book = changed_book(request, stream.tracker.book, self._node.settings.session.max_prompts)
        if isinstance(book, ErrorReply):
            return book
        if book is not stream.tracker.book:
            stream.set_book(book, by_client=True)
        tracker = stream.tracker
        return PromptReply(
            request_id=request.request_id,
            stream=request.stream,
            prompts=tracker.prompts,
            version=tracker.book.version,
            applies_from=tracker.applies_from,
        )

    def _recover(self, request: Recover) -> None:
        stream = self.stream
        lost = stream.tracker.recover()
        stream.passed_over(DropReason.NODE_RESTART, lost)
        stream.epoch_began(
            request.text or f"{request.about_node} was restarted ({request.reason})",
            about_node=request.about_node,
            frames_lost=lost,
            reason=DropReason.NODE_RESTART if lost else None,
        )
        stream.changed.notify()


def _is_news(state: SourceState, last: SourceState) -> bool:
    """Whether more than figures differs; where frames may be lost nobody goes back to those that are finished."""
    figures = {"at_ns": last.at_ns, "frames": last.frames, "rate_hz": last.rate_hz}
    if state.flow == "freshest":
        figures["frames_done"] = last.frames_done
    return msgspec.structs.replace(state, **figures) != last


def _order(player: SourcePlayer, request: SourceRequest) -> None:
    match request.action:
        case "start":
            player.start(request.address)
        case "stop":
            player.stop()
        case "reconnect":
            player.reconnect(request.address)


def _refused(request: BrokerRequest, code: ErrorCode, text: str) -> ErrorReply | None:
    """An error as answer, to a request that wants one."""
    if isinstance(request, StartStream | Recover | Finished):
        _LOG.warning("not done", request=type(request).__name__, stream=request.stream, reason=text)
        return None
    return ErrorReply(code=code, text=text, request_id=request.request_id)
