"""Node `decoder`: queries of frames to queries of the video.

Input: `FrameQueriesMessage` from the queries nodes, notices of frames that do not come.
Step: put the frames of each stream in order, move the windows of all prompts on, decode; see
`ssa_stream.streaming.decoding`.
Output: `VideoQueriesMessage` of every frame that is due, or the notice in its place, in order, to masks.
It remembers the windows of every stream, and its last few states for frames that are sent again.
"""

from collections.abc import Iterator
from pathlib import Path

import structlog

from ssa_stream.errors import SessionStateError
from ssa_stream.model import Stages
from ssa_stream.nodes.decoder.decoding import Due, ResumableDecoder
from ssa_stream.nodes.decoder.history import StateHistory
from ssa_stream.nodes.decoder.stream import NextFrame, OrderedStream, RowPart
from ssa_stream.nodes.pipeline import MASKS
from ssa_stream.nodes.runtime.dropping import Drops, is_stale, wait_ns
from ssa_stream.nodes.runtime.node import NodeContext
from ssa_stream.nodes.runtime.serving import serve_in_order, with_time
from ssa_stream.nodes.runtime.state_files import StateFiles
from ssa_stream.nodes.runtime.transport.interface import Outlet
from ssa_stream.nodes.runtime.transport.payload import OutgoingPayload
from ssa_stream.nodes.runtime.transport.received import ReceivedMessage
from ssa_stream.protocols import (
    DropNotice,
    DropReason,
    EventKind,
    FrameIdentity,
    FrameQueriesMessage,
    Prompt,
    VideoQueriesMessage,
)
from ssa_stream.streaming.saving import fingerprint

__all__ = ["run"]

_LOG = structlog.get_logger()


async def run(node: NodeContext) -> None:
    """Run the node until its `stop` is set."""
    inlet = node.inlet()
    outlet = node.transport.outlet([MASKS])
    try:
        decoder = _Decoder(node, await node.executor.run(node.load_model), outlet)
        await serve_in_order(node, inlet, decoder)
    finally:
        inlet.close()
        outlet.close()


class _Decoder:
    def __init__(self, node: NodeContext, model: Stages, outlet: Outlet) -> None:
        self._node, self._model, self._outlet = node, model, outlet
        self._config = node.settings.to_session_config()
        self._fingerprint = fingerprint(model.config, model.dtype, self._config, node.metrics.weights)
        self._drops = Drops(node)
        self._streams: dict[str, OrderedStream] = {}
        folder = node.settings.decoder.checkpoint
        self._files = StateFiles(Path(folder), "decoder") if folder else None
        self._saved_ns: dict[str, int] = {}

    def deadlines_ns(self) -> Iterator[int | None]:
        """When frames have waited long enough for each other."""
        return (stream.deadline_ns for stream in self._streams.values())

    async def take(self, received: ReceivedMessage) -> None:
        """Take what came."""
        match received.message:
            case FrameQueriesMessage() as message:
                await self._take_rows(message, received)
            case DropNotice() as notice:
                await self._take_notice(notice)
            case _:
                self._node.metrics.count("unexpected")

    async def advance(self) -> None:
        """Decode all frames that are next in order, and send what is due."""
        for name, stream in self._streams.items():
            frames, left = stream.take(self._node.awake.monotonic_ns())
            for lost in left:
                self._drops.count(lost, DropReason.NODE_RESTART)
            for frame in frames:
                with self._node.metrics.working():
                    await self._decode(name, stream, frame)
            self._node.metrics.queue("order", stream.waiting, self._node.settings.frames_in_flight)

    async def _take_rows(self, message: FrameQueriesMessage, received: ReceivedMessage) -> None:
        work, now_ns = message.work, self._node.clock.monotonic_ns()
        if is_stale(work, self._node.settings, clock=self._node.clock.name, now_ns=now_ns):
            await self._take_notice(self._drops.notice(work.frame, work.frames_missed, DropReason.STALE))
            return
        stream = await self._stream(work.frame)
        # Copied: rows may wait for others, longer than the sender's memory is theirs.
        queries, text = (
            received.tensor(spec).to(self._model.device, copy=True) for spec in (message.queries, message.text)
        )
        if not received.is_valid():
            self._node.metrics.count("rows_gone", stream=work.frame.stream)
            return
        part = RowPart(work, queries, text, received.received_ns)
        if (reason := stream.add(message.first_row, part, self._node.awake.monotonic_ns())) is not None:
            self._drops.count(work.frame, reason)

    async def _take_notice(self, notice: DropNotice) -> None:
        stream = await self._stream(notice.frame)
        stream.add_notice(notice, self._node.awake.monotonic_ns())

    async def _decode(self, name: str, stream: OrderedStream, frame: NextFrame) -> None:
        """Decode one frame; if that fails it is dropped, and the stream goes on."""
        if frame.after_gap:
            self._tell_gap(frame.work.frame)
        begin_ns = self._node.clock.monotonic_ns()
        try:
            due = await self._node.executor.run(stream.decode, frame)
        except Exception as error:  # of one frame: the node lives on
            if isinstance(frame.work, DropNotice):
                raise
            notice = self._drops.notice(frame.work.frame, frame.work.frames_missed, DropReason.FAILED, error=error)
            due = await self._node.executor.run(stream.decode, NextFrame(notice))
        await self._save(name, stream)
        received_ns = max((part.received_ns for part in frame.parts), default=begin_ns)
        for item in due:
            if isinstance(item, DropNotice):
                is_sent = await self._outlet.send(item)
            else:
                is_sent = await self._send(item, received_ns, begin_ns)
            if not is_sent:
                self._drops.count(
                    item.frame if isinstance(item, DropNotice) else item.work.frame, DropReason.QUEUE_FULL
                )

    async def _send(self, due: Due, received_ns: int, begin_ns: int) -> bool:
        work, frame = with_time(self._node, due.work, received_ns, begin_ns), due.frame
        payload = OutgoingPayload()
        message = VideoQueriesMessage(
            frame=work.frame,
            sizes=work.sizes,
            prompts=tuple(
                Prompt(id=prompt.prompt_id, text=prompt.text, version=prompt.version) for prompt in frame.prompts
            ),
            probability=payload.add(frame.probability),
            mask_embedding=payload.add(frame.mask_embedding),
            aligned=payload.add(frame.aligned),
            memory_from=frame.memory_from,
            status=frame.status,
            frames_missed=frame.stamp.frames_missed,
            after_reset=frame.stamp.after_reset,
            times=work.times,
            prompts_version=due.prompts_version,
        )
        return await self._outlet.send(message, payload)

    def _tell_gap(self, frame: FrameIdentity) -> None:
        self._drops.count(frame, DropReason.GAP)
        self._node.broker.event(
            EventKind.GAP,
            stream=frame.stream,
            severity="warning",
            epoch=frame.epoch,
            seq=frame.seq,
            reason=DropReason.GAP,
            text="frames before this one did not come in time",
        )

    async def _stream(self, frame: FrameIdentity) -> OrderedStream:
        if frame.stream not in self._streams:
            history = await self._node.executor.run(self._load, frame.stream)
            capacity = self._node.settings.frames_in_flight
            decoder = ResumableDecoder(self._model, self._config, capacity, history=history)
            self._streams[frame.stream] = OrderedStream(decoder, wait_ns(frame, self._node.settings))
        return self._streams[frame.stream]

    def _load(self, name: str) -> StateHistory | None:
        """The saved states of a stream; one that cannot be used is reported and left alone."""
        if self._files is None:
            return None
        depth, device = self._node.settings.frames_in_flight + 1, str(self._model.device)
        try:
            data = self._files.read(name)
            return None if data is None else StateHistory.from_bytes(data, depth, self._fingerprint, device)
        except (SessionStateError, OSError) as error:
            text = f"saved state {self._files.path(name)} is not used: {error}"
            _LOG.error(text, node=self._node.name, stream=name)
            return None

    async def _save(self, name: str, stream: OrderedStream) -> None:
        """Save the states of a stream if that is due, before anybody sees what came of them."""
        now_ns = self._node.clock.monotonic_ns()
        every_ns = self._node.settings.decoder.checkpoint_every_s * 1e9
        if self._files is None or now_ns - self._saved_ns.get(name, -(2**62)) < every_ns:
            return
        self._saved_ns[name] = now_ns
        try:
            await self._node.executor.run(_write, self._files, name, stream.decoder.history, self._fingerprint)
        except OSError as error:
            _LOG.error("state not saved", node=self._node.name, stream=name, error=str(error))


def _write(files: StateFiles, name: str, history: StateHistory, settings: str) -> None:
    files.write(name, history.to_bytes(settings))
