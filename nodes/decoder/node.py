"""Node `decoder`: queries of frames to queries of the video.

Input: `FrameQueriesMessage` from the queries nodes, notices of frames that do not come.
Step: put the frames of each stream in order, move the windows of all prompts on, decode; see
`ssa_stream.streaming.decoding`. Windows of several streams whose frames wait may be one batch.
Output: `VideoQueriesMessage` of every frame that is due, or the notice in its place, in order, to masks.
It remembers the windows of every stream, and its last few states for frames that are sent again.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple

import structlog

from ssa_stream.errors import SessionStateError
from ssa_stream.model import Stages
from ssa_stream.nodes.decoder.decoding import Due, ResumableDecoder
from ssa_stream.nodes.decoder.history import StateHistory
from ssa_stream.nodes.decoder.stream import NextFrame, OrderedStream, RowPart, decode_together
from ssa_stream.nodes.pipeline import MASKS
from ssa_stream.nodes.runtime.batch_costs import BatchCosts, device_clock_s
from ssa_stream.nodes.runtime.batching import count_failed_batch
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
from ssa_stream.streaming.encoding import MAX_ROWS
from ssa_stream.streaming.saving import fingerprint

__all__ = ["run"]

_LOG = structlog.get_logger()
_MOST_AT_ONCE = 64
"""Messages that are taken off the link before frames are decoded, where those of several streams may go together."""
_WINDOWS = "windows"
"""All steps of windows are of one kind: they differ in their number of prompts alone."""


class _Next(NamedTuple):
    """A frame that is next in its stream."""

    name: str
    stream: OrderedStream
    frame: NextFrame


async def run(node: NodeContext) -> None:
    """Run the node until its `stop` is set."""
    inlet = node.inlet()
    outlet = node.transport.outlet([MASKS])
    try:
        decoder = _Decoder(node, await node.executor.run(node.load_model), outlet)
        await serve_in_order(node, inlet, decoder, at_once=_MOST_AT_ONCE if decoder.is_batching else 1)
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
        self._costs = BatchCosts(node.name, MAX_ROWS, device_clock_s(model.device))
        self.is_batching = node.settings.flow.batching != "never" and len(node.settings.streams) > 1

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
        waiting = []
        for name, stream in self._streams.items():
            frames, left = stream.take(self._node.awake.monotonic_ns())
            for lost in left:
                self._drops.count(lost, DropReason.NODE_RESTART)
            waiting.append([_Next(name, stream, frame) for frame in frames])
        for number in range(max(map(len, waiting), default=0)):
            await self._decode_all([frames[number] for frames in waiting if number < len(frames)])
        for stream in self._streams.values():
            self._node.metrics.queue("order", stream.waiting, self._node.settings.frames_in_flight)

    async def _decode_all(self, frames: Sequence[_Next]) -> None:
        """Decode one frame of each of several streams: together what can be, if that pays."""
        rows = {one: one.stream.rows_of(one.frame) for one in frames}
        joint = [one for one in frames if rows[one] is not None] if self.is_batching else []
        for one in frames:
            if one not in joint:
                with self._node.metrics.working():
                    await self._decode(one)
        while joint:
            taken = joint[: self._costs.choose(_WINDOWS, [rows[one] or 0 for one in joint])]
            joint = joint[len(taken) :]
            with ExitStack() as steps:
                for _ in taken:
                    steps.enter_context(self._node.metrics.working())
                if len(taken) > 1 and await self._decode_together(taken):
                    continue
                are_whole = [await self._decode(one) for one in taken]
                if len(taken) > 1 and all(are_whole):  # no frame was the reason
                    self._costs.refuse(_WINDOWS, [rows[one] or 0 for one in taken])

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

    async def _decode_together(self, frames: Sequence[_Next]) -> bool:
        """Decode frames of several streams as one batch; returns whether that went well. Else nothing has changed."""
        begin_ns = self._node.clock.monotonic_ns()
        executor = self._node.executor.handing_on(any(one.frame.work.frame.live for one in frames))
        rows = [one.stream.rows_of(one.frame) or 0 for one in frames]
        work = partial(decode_together, self._model, self._config, [(one.stream, one.frame) for one in frames])
        try:
            due = await executor.run(self._costs.measured, _WINDOWS, rows, work)
        except Exception as error:  # of one frame or of the batch: each is taken alone, where errors are told
            count_failed_batch(self._node, len(frames), error)
            return False
        self._node.metrics.count("batches")
        self._node.metrics.count("batched_frames", len(frames))
        for one, leaving in zip(frames, due, strict=True):
            if one.frame.after_gap:
                self._tell_gap(one.frame.work.frame)
            await self._let_go(one, leaving, begin_ns)
        return True

    async def _decode(self, one: _Next) -> bool:
        """Decode one frame; if that fails it is dropped, and the stream goes on. Returns whether it did not fail."""
        frame, is_whole = one.frame, True
        if frame.after_gap:
            self._tell_gap(frame.work.frame)
        begin_ns, executor = self._node.clock.monotonic_ns(), self._node.executor.handing_on(frame.work.frame.live)
        work = partial(one.stream.decode, frame)
        try:
            if self.is_batching and (rows := one.stream.rows_of(frame)) is not None:
                due = await executor.run(self._costs.measured, _WINDOWS, [rows], work)
            else:
                due = await executor.run(work)
        except Exception as error:  # of one frame: the node lives on
            if isinstance(frame.work, DropNotice):
                raise
            notice = self._drops.notice(frame.work.frame, frame.work.frames_missed, DropReason.FAILED, error=error)
            due, is_whole = await self._node.executor.run(one.stream.decode, NextFrame(notice)), False
        await self._let_go(one, due, begin_ns)
        return is_whole

    async def _let_go(self, one: _Next, due: Sequence[Due | DropNotice], begin_ns: int) -> None:
        """Send what is due."""
        await self._save(one.name, one.stream)
        received_ns = max((part.received_ns for part in one.frame.parts), default=begin_ns)
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
