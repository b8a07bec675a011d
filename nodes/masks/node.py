"""Node `masks`: queries of the video and mask features to tracked masks, published.

Input: `VideoQueriesMessage` and notices from the decoder, in order; `MaskFeaturesMessage` from the queries nodes;
`PictureMessage` from ingest where the stream has outputs, or subscribers get pictures.
Step: wait for what a due frame needs, make its masks, follow objects, pack; see `ssa_stream.streaming.masking`.
Output: `MaskMessage` of each prompt to the broker, and after them `Finished`, which it passes on to ingest; files.
It remembers tracks, and mask features of frames that are not out.
"""

from collections.abc import Iterator

import numpy as np
import structlog
from numpy.typing import NDArray

from ssa_stream.client.graph_state import MASKED
from ssa_stream.errors import SessionStateError
from ssa_stream.model import Stages
from ssa_stream.nodes.masks.messages import mask_message, model_name
from ssa_stream.nodes.masks.outputs import GraphOutputs, OutputFrame
from ssa_stream.nodes.masks.pictures import JpegPicture, jpeg_picture
from ssa_stream.nodes.masks.stream import MaskStream, Waiting, due_frame
from ssa_stream.nodes.runtime.dropping import Drops, wait_ns
from ssa_stream.nodes.runtime.logs import LogLimit
from ssa_stream.nodes.runtime.node import NodeContext
from ssa_stream.nodes.runtime.serving import serve_in_order, stage_time
from ssa_stream.nodes.runtime.state_files import StateFiles, run_folder
from ssa_stream.nodes.runtime.transport.received import ReceivedMessage
from ssa_stream.protocols import (
    MASKS,
    DropNotice,
    DropReason,
    Finished,
    FrameIdentity,
    MaskFeaturesMessage,
    PictureMessage,
    Topic,
    VideoQueriesMessage,
    encode,
)
from ssa_stream.streaming import MaskResult
from ssa_stream.streaming.decoding import DueFrame
from ssa_stream.streaming.masking import MaskKey, lacking
from ssa_stream.streaming.saving import fingerprint

__all__ = ["run"]

_LOG = structlog.get_logger()


async def run(node: NodeContext) -> None:
    """Run the node until its `stop` is set; outputs are closed then.

    Raises:
        SinkError: An output cannot be opened.
    """
    inlet = node.inlet()
    masks = _Masks(node, await node.executor.run(node.load_model))
    try:
        await masks.outputs.open()
        await serve_in_order(node, inlet, masks)
    finally:
        inlet.close()
        await masks.close()


class _Masks:
    def __init__(self, node: NodeContext, model: Stages) -> None:
        self._node, self._model = node, model
        self._config = node.settings.to_session_config()
        self._fingerprint = fingerprint(model.config, model.dtype, self._config, node.metrics.weights)
        self._model_name = model_name(model.config.name)
        self._outlet = node.transport.mask_outlet()
        self._drops = Drops(node)
        self._streams: dict[str, MaskStream] = {}
        self.outputs = GraphOutputs(node)
        folder = run_folder(node.transport.link_address(node.name))
        self._files = StateFiles(folder, node.name) if folder else None
        self._save_errors = LogLimit(every_s=60)
        self._lacks = LogLimit()

    def deadlines_ns(self) -> Iterator[int | None]:
        """When due frames have waited long enough for what they need."""
        return (stream.deadline_ns(self._wait_ns(stream)) for stream in self._streams.values())

    async def take(self, received: ReceivedMessage) -> None:
        """Take what came; tensors are copied, because they wait longer than the sender's memory is theirs."""
        match received.message:
            case VideoQueriesMessage() as message:
                tensors = [
                    received.tensor(spec).to(self._model.device, copy=True)
                    for spec in (message.probability, message.mask_embedding, message.aligned)
                ]
                if self._is_whole(received, message.frame):
                    await self._add(self._waiting(message, due_frame(message, *tensors), received))
            case MaskFeaturesMessage() as message:
                await self._take_features(message, received)
            case PictureMessage() as message:
                image = received.array(message.image).copy()
                if self._is_whole(received, message.frame):
                    await self._take_picture(message.frame, image)
            case DropNotice() as notice:
                await self._add(self._waiting(notice, None, received))
            case _:
                self._node.metrics.count("unexpected")

    async def advance(self) -> None:
        """Let all frames leave that have what they need."""
        for stream in self._streams.values():
            for lost in stream.leave_lost():
                self._drops.count(lost, DropReason.NODE_RESTART)
            wait = self._wait_ns(stream)
            while (item := stream.next(self._node.awake.monotonic_ns(), wait)) is not None:
                with self._node.metrics.working():
                    await self._leave(stream, item)
            self._node.metrics.queue("join", len(stream), self._node.settings.frames_in_flight)

    async def close(self) -> None:
        """Close the outputs, then the links."""
        try:
            await self.outputs.close()
        finally:
            self._outlet.close()

    def _waiting(
        self, message: VideoQueriesMessage | DropNotice, due: DueFrame | None, received: ReceivedMessage
    ) -> Waiting:
        return Waiting(message, due, self._node.awake.monotonic_ns(), received.received_ns)

    async def _add(self, item: Waiting) -> None:
        frame = item.message.frame
        if not (await self._stream(frame)).add(item):
            self._node.metrics.count("sent_before_restart", stream=frame.stream)

    async def _take_features(self, message: MaskFeaturesMessage, received: ReceivedMessage) -> None:
        work, rows = message.work, message.work.rows()
        features = {}
        for number, spec in zip(message.rows, message.mask_features, strict=True):
            position, age = rows[number]
            prompt = work.prompts[position].prompt
            key = MaskKey(prompt.id, prompt.version, work.frame.index - age)
            features[key] = received.tensor(spec).to(self._model.device, copy=True)
        if self._is_whole(received, work.frame):
            (await self._stream(work.frame)).add_features(features)

    async def _take_picture(self, frame: FrameIdentity, image: NDArray[np.uint8]) -> None:
        """Keep the picture of a frame. It is encoded once for all prompts, and now, while others work on the frame."""
        jpeg: JpegPicture | None = None
        if (section := self._node.settings.masks).sends_pictures:
            jpeg = await self._node.executor.run(jpeg_picture, image, section)
        picture = OutputFrame(image, frame.seq, frame.epoch, frame.t, jpeg=jpeg)
        (await self._stream(frame)).add_picture(frame.index, picture)

    def _is_whole(self, received: ReceivedMessage, frame: FrameIdentity) -> bool:
        """Whether what was copied is what was sent."""
        if not received.is_valid():
            self._node.metrics.count("tensors_gone", stream=frame.stream)
            return False
        return True

    async def _leave(self, stream: MaskStream, item: Waiting) -> None:
        """A frame leaves the graph: its masks are published, or it was dropped."""
        if isinstance(item.message, VideoQueriesMessage) and item.due is not None and not stream.is_repeated(item.due):
            await self._emit(stream, item)
        frame = item.message.frame
        if item.due is None or item.due.status == "final":
            stream.forget_pictures(frame.index)
            await self._tell_finished(frame)

    async def _emit(self, stream: MaskStream, item: Waiting) -> None:
        message, due, begin_ns = item.message, item.due, self._node.clock.monotonic_ns()
        assert isinstance(message, VideoQueriesMessage)
        assert due is not None
        lacked = lacking(stream.state, due)
        for prompt in lacked:
            left_out = self._lacks.due("features")
            if left_out is not None:
                name = message.frame.stream
                _LOG.warning("mask features did not come", stream=name, prompt=prompt.prompt_id, left_out=left_out)
        if stream.needs_pictures and stream.picture(due.stamp.index) is None:
            self._node.metrics.count("picture_missing", stream=stream.name)
            if (left_out := self._lacks.due("picture")) is not None:
                _LOG.warning("picture of a frame did not come", stream=stream.name, left_out=left_out)
        try:
            made = await self._node.executor.run(self._make, stream, item, begin_ns)
        except Exception as error:  # of one frame: the node lives on
            stream.give_up(due)
            self._drops.count(message.frame, DropReason.FAILED, error=error)
            return
        are_taken = [await self._publish(message.frame, parts) for _, parts in made]
        if due.status == "final":
            self._account(message.frame, is_whole=not lacked, is_taken=all(are_taken))
            await self._save(message.frame.stream, stream)
        if stream.has_outputs and made:
            picture = stream.picture(due.stamp.index)
            stream.has_outputs = await self.outputs.write(message, picture, [result for result, _ in made])

    def _account(self, frame: FrameIdentity, *, is_whole: bool, is_taken: bool) -> None:
        """Count a frame once, whatever the number of its prompts: it is out, or masks of it are missing."""
        if not is_whole:
            self._drops.count(frame, DropReason.GAP)
        elif not is_taken:
            self._drops.count(frame, DropReason.QUEUE_FULL)
        else:
            self._node.metrics.count(MASKED, stream=frame.stream)

    def _make(
        self, stream: MaskStream, item: Waiting, begin_ns: int
    ) -> list[tuple[MaskResult, list[bytes | memoryview]]]:
        """Masks of a due frame with the parts of their messages."""
        message, due = item.message, item.due
        assert isinstance(message, VideoQueriesMessage)
        assert due is not None
        node, section, made = self._node, self._node.settings.masks, []
        picture = stream.picture(due.stamp.index)
        for result in stream.make_masks(due):
            times = (*message.times, stage_time(node, item.received_ns, begin_ns))
            masks, buffers = mask_message(
                result,
                message.frame,
                message.sizes,
                model=self._model_name,
                size=section.size,
                with_run_lengths=section.rle,
                times=times,
                prompts_version=message.prompts_version,
                picture=None if picture is None else picture.jpeg,
            )
            topic = Topic(message.frame.stream, MASKS, result.prompt_id)
            made.append((result, encode(masks, buffers, topic=topic)))
        node.metrics.latency(node.role, (node.clock.monotonic_ns() - begin_ns) / 1e6, message.frame.stream)
        return made

    async def _publish(self, frame: FrameIdentity, parts: list[bytes | memoryview]) -> bool:
        """Give the broker what is about a frame; where every frame counts, however long that takes."""
        while not (is_taken := await self._outlet.publish(parts)):
            if frame.live or self._node.stop.is_set():
                break
        return is_taken

    async def _tell_finished(self, frame: FrameIdentity) -> None:
        """Say that a frame is done with, behind its masks and on their link: whoever hears it has had them.

        It is cumulative: one that is lost is made up for by the next.
        """
        finished = Finished(
            node=self._node.name,
            incarnation=self._node.incarnation,
            stream=frame.stream,
            epoch=frame.epoch,
            seq=frame.seq,
        )
        if not await self._publish(frame, encode(finished)):
            self._node.metrics.count("finished_not_sent", stream=frame.stream)

    async def _stream(self, frame: FrameIdentity) -> MaskStream:
        name = frame.stream
        if name not in self._streams:
            self._streams[name] = await self._node.executor.run(self._begin, name)
        return self._streams[name]

    def _begin(self, name: str) -> MaskStream:
        """A stream as it begins, or goes on after a restart of this node; its outputs are opened."""
        stream = MaskStream(
            name,
            self._model,
            self._config,
            depth=self._node.settings.frames_in_flight + 1,
            has_outputs=name in self.outputs,
            sends_pictures=self._node.settings.masks.sends_pictures,
        )
        try:
            if self._files is not None and (data := self._files.read(name)) is not None:
                stream.restore(data, self._fingerprint)
        except (SessionStateError, OSError) as error:
            _LOG.error("saved tracks are not used", node=self._node.name, stream=name, error=str(error))
        return stream

    async def _save(self, name: str, stream: MaskStream) -> None:
        """Save tracks before ingest hears that the frame is finished; else a restart would give their ids again."""
        if self._files is None:
            return
        try:
            await self._node.executor.run(_write, self._files, name, stream, self._fingerprint)
        except OSError as error:  # of each frame, while the disk is full
            if (left_out := self._save_errors.due("tracks")) is not None:
                _LOG.error("tracks not saved", node=self._node.name, stream=name, error=str(error), left_out=left_out)

    def _wait_ns(self, stream: MaskStream) -> int:
        return 0 if stream.first is None else wait_ns(stream.first, self._node.settings)


def _write(files: StateFiles, name: str, stream: MaskStream, settings: str) -> None:
    files.write(name, stream.to_bytes(settings))
