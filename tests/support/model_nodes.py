"""The four model nodes in one process, between an ingest that the test plays and a broker that only listens."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import msgspec
import numpy as np
import zmq.asyncio
from numpy.typing import NDArray

from ssa_stream.model import SSA, resize_frame
from ssa_stream.nodes.decoder import node as decoder
from ssa_stream.nodes.encoder import node as encoder
from ssa_stream.nodes.masks import node as masks
from ssa_stream.nodes.pipeline import DECODER, MASKS, PipelineConfig, role_of
from ssa_stream.nodes.queries import node as queries
from ssa_stream.nodes.runtime.broker_link import BrokerLink
from ssa_stream.nodes.runtime.clock import MonotonicClock
from ssa_stream.nodes.runtime.executor import ModelExecutor
from ssa_stream.nodes.runtime.metrics import NodeMetrics
from ssa_stream.nodes.runtime.node import NodeContext
from ssa_stream.nodes.runtime.transport.in_process import InProcessTransport
from ssa_stream.nodes.runtime.transport.links import listen, pull
from ssa_stream.nodes.runtime.transport.payload import OutgoingPayload
from ssa_stream.protocols import (
    AppliesFrom,
    DropNotice,
    Event,
    Finished,
    FrameIdentity,
    FrameMessage,
    FrameSizes,
    FrameWork,
    Limits,
    MaskMessage,
    Packet,
    PictureMessage,
    Prompt,
    WorkPrompt,
    decode,
    unpack_labels,
)
from ssa_stream.streaming import MaskResult, TrackMask
from ssa_stream.streaming.prompts import PromptBook
from ssa_stream.streaming.timeline import longest_gap_s, with_interval

__all__ = ["DEADLINE_S", "STREAM", "ModelNodes", "Player", "identity", "model_nodes", "pipeline", "with_work"]

STREAM = "cam0"
DEADLINE_S = 30.0
_RUNS = {"encoder": encoder.run, "queries": queries.run, "decoder": decoder.run, "masks": masks.run}


def pipeline(*, names: Sequence[str] = (STREAM,), **sections: Any) -> PipelineConfig:
    """A pipeline of streams that are files, with every frame; one stream if no names are given."""
    stream = {"source": "played", "flow": "every_frame"} | sections.pop("stream", {})
    return PipelineConfig.from_mapping({"streams": dict.fromkeys(names, stream), **sections})


class _Broker:
    """Keeps the events; stands in for `BrokerLink`."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.ready = asyncio.Event()

    def mark_ready(self) -> None:
        self.ready.set()

    def event(self, kind: str, **fields: Any) -> None:
        self.events.append((str(kind), fields))
        Event(kind=str(kind), node="x", at_ns=0, clock="monotonic:x", **fields)  # the fields are such that exist

    def publish(self, message: object) -> None:
        raise AssertionError(f"unexpected {message}")


class Player:
    """Numbers frames and attaches prompts, as ingest does; holds no frame back.

    Args:
        model: For its sizes.
        settings: Of the pipeline.
        stream: Whose frames these are.
    """

    def __init__(self, model: SSA, settings: PipelineConfig, stream: str = STREAM) -> None:
        self.config = settings.to_session_config()
        self._model, self._settings, self._stream = model, settings, stream
        self.live = settings.streams[stream].flow == "freshest"
        self.book = PromptBook()
        self.epoch = self.seq = self.index = self.memory = 0
        self.carried: set[Prompt] = set()
        self.history: list[NDArray[np.uint8]] = []
        self.last_t: float | None = None
        self.intervals_s: tuple[float, ...] = ()
        self.begin_index = 0
        self.applies_from = AppliesFrom(epoch=0, seq=0, index=0)

    def set_prompts(self, prompts: Sequence[str] | Mapping[str, str]) -> None:
        """Replace the prompts before the next frame."""
        self.book = self.book.set(prompts, max_prompts=self.config.max_prompts)
        index = max(self.begin_index, self.index - self.config.lookahead)
        self.applies_from = AppliesFrom(epoch=self.epoch, seq=self.seq, index=index)

    def begin_epoch(self) -> None:
        """A new epoch of the same memory, as after a restart of a node."""
        self.epoch, self.seq, self.carried = self.epoch + 1, 0, set()

    def __deepcopy__(self, memo: dict[int, Any]) -> "Player":
        twin = Player(self._model, self._settings, self._stream)
        twin.__dict__.update(self.__dict__, carried=set(self.carried), history=list(self.history))
        return twin

    def frame(self, image: NDArray[np.uint8], t: float, **fields: Any) -> tuple[FrameMessage, OutgoingPayload]:
        """The message of the next frame."""
        if self.last_t is not None:
            elapsed_s = t - self.last_t
            is_too_long = elapsed_s > longest_gap_s(self.config.max_gap_s, self.intervals_s)
            self.intervals_s = with_interval(self.intervals_s, elapsed_s, is_too_long=is_too_long)
            if is_too_long:
                self.history, self.begin_index = [], self.index
        sizes = self.config.sizes_of((image.shape[0], image.shape[1]), self._model.config)
        prompts = tuple(Prompt(id=one.prompt_id, text=one.text, version=one.version) for one in self.book.prompts)
        work = FrameWork(
            frame=identity(self.epoch, self.seq, self.index, t, stream=self._stream, live=self.live, **fields),
            sizes=FrameSizes(source=sizes.output, network=sizes.network, padded=sizes.padded),
            prompts=tuple(
                WorkPrompt(prompt=one, frames=1 if one in self.carried else len(self.history) + 1) for one in prompts
            ),
            prompts_version=self.book.version,
            applies_from=self.applies_from,
            memory=self.memory,
        )
        payload, picture = OutgoingPayload(), resize_frame(image, sizes.network)
        history = self.history[len(self.history) - work.num_history :]
        message = FrameMessage(
            work=work,
            image=payload.add_array(picture),
            history=tuple(payload.add_array(one) for one in history),
        )
        self.carried |= set(prompts)
        kept = self.config.window - 1
        self.history = [*self.history, picture][-kept:] if kept else []
        self.last_t, self.seq, self.index = t, self.seq + 1, self.index + 1
        return message, payload


def identity(epoch: int, seq: int, index: int, t: float, **fields: Any) -> FrameIdentity:
    """A frame of the stream."""
    clock = MonotonicClock()
    times: dict[str, Any] = {"stream": STREAM, "t_receive_ns": clock.monotonic_ns(), "receive_clock": clock.name}
    return FrameIdentity(epoch=epoch, seq=seq, index=index, t=t, **times | fields)


class ModelNodes:
    """The running nodes, and what came out of them: `results` of all streams, `results_of` each."""

    def __init__(self, settings: PipelineConfig, transport: InProcessTransport, model: SSA) -> None:
        self.settings = settings
        self.model = model
        self.results: list[MaskResult] = []
        self.messages: list[MaskMessage] = []
        self.finished: list[tuple[int, int]] = []
        self.results_of: dict[str, list[MaskResult]] = defaultdict(list)
        self.said: list[MaskMessage | Finished] = []
        self.brokers: dict[str, _Broker] = {}
        self.metrics: dict[str, NodeMetrics] = {}
        self.encoders = transport.outlet(settings.encoder_names)
        self.masks = transport.outlet([MASKS])
        self.decoder = transport.outlet([DECODER])
        self._published = listen(transport.context, transport.publish_address)
        self._changed = asyncio.Event()
        self.sent: list[tuple[int, int]] = []

    async def send(self, message: FrameMessage, payload: OutgoingPayload) -> None:
        """Hand a frame to the encoders when there is room."""
        room = self.settings.frames_in_flight
        number = len(self.sent)
        self.sent.append((message.work.frame.epoch, message.work.frame.seq))
        await self.until(lambda: number - self.count_finished() < room)
        assert await self.encoders.send(message, payload)

    def count_finished(self) -> int:
        """How many of the sent frames are done with."""
        last = max(self.finished, default=(-1, -1))
        return sum(1 for one in self.sent if one <= last)

    async def send_picture(self, message: FrameMessage, image: NDArray[np.uint8]) -> None:
        """Hand the source's picture of a frame to masks."""
        payload = OutgoingPayload()
        picture = PictureMessage(frame=message.work.frame, image=payload.add_array(image))
        assert await self.masks.send(picture, payload)

    async def end(self, player: Player, t: float) -> None:
        """Tell that no frame follows, and wait until all are out."""
        frame = identity(player.epoch, player.seq, player.index, t, live=player.live)
        player.seq += 1
        self.sent.append((frame.epoch, frame.seq))
        assert await self.encoders.send(DropNotice(frame=frame, node="ingest-cam0", reason="ended"))
        await self.all_finished()

    async def all_finished(self) -> None:
        """Wait until every frame that was sent is done with."""
        await self.until(lambda: self.count_finished() == len(self.sent))

    async def until(self, condition: Callable[[], bool], timeout_s: float = DEADLINE_S) -> None:
        """Wait for what comes out of the nodes."""
        async with asyncio.timeout(timeout_s):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def drops(self) -> dict[str, int]:
        """Drops of all nodes by reason."""
        counts: dict[str, int] = {}
        for metrics in self.metrics.values():
            for drop in metrics.statistics().drops:
                counts[drop.reason] = counts.get(drop.reason, 0) + drop.count
        return counts

    def frames_out(self) -> int:
        """Frames that the masks node says are out with all their masks."""
        counters = self.metrics[MASKS].statistics().counters
        return sum(one.value for one in counters if one.name == "frames_out")

    async def listen(self) -> None:
        """Take what the nodes say, until cancelled."""
        try:
            while True:
                if (frames := await pull(self._published, 1.0)) is not None:
                    self._hear(decode(frames, Limits()))
                    self._changed.set()
        finally:
            self.encoders.close()
            self.masks.close()
            self.decoder.close()
            self._published.close(linger=0)

    def _hear(self, packet: Packet) -> None:
        message = packet.message
        assert isinstance(message, MaskMessage | Finished)
        self.said.append(message)
        if isinstance(message, Finished):
            assert packet.topic is None
            self.finished.append((message.epoch, message.seq))
            return
        maps = unpack_labels(message, packet.buffers)
        self.messages.append(message)
        self.results_of[message.frame.stream].append(
            MaskResult(
                prompt_id=message.prompt.id,
                prompt=message.prompt.text,
                prompt_version=message.prompt.version,
                frame_index=message.frame.index,
                t=message.frame.t,
                size=message.source_size,
                tracks=tuple(
                    TrackMask(one.id, one.score, one.probability, one.box_xyxy, one.area_px, maps.mask(one).copy())
                    for one in message.tracks
                ),
                probability=message.probability,
                status=message.status,
                frames_missed=message.frames_missed,
                after_reset=message.after_reset,
            )
        )
        self.results.append(self.results_of[message.frame.stream][-1])


@asynccontextmanager
async def model_nodes(settings: PipelineConfig, model: SSA) -> AsyncIterator[ModelNodes]:
    """Run the nodes of a pipeline."""
    context = zmq.asyncio.Context()
    transport = InProcessTransport(context, "stand")
    executor = ModelExecutor(1)
    stop = asyncio.Event()
    try:
        stand = ModelNodes(settings, transport, model)
        names = [*settings.encoder_names, *settings.queries_names, DECODER, MASKS]
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(stand.listen())
            nodes = []
            for name in names:
                broker, clock = _Broker(), MonotonicClock()
                metrics = NodeMetrics(name, role_of(name), 0, clock)
                stand.brokers[name], stand.metrics[name] = broker, metrics
                node = NodeContext(
                    name=name,
                    role=role_of(name),
                    incarnation=0,
                    transport=transport,
                    broker=cast(BrokerLink, broker),
                    clock=clock,
                    awake=clock,
                    stop=stop,
                    executor=executor.of_role(role_of(name)),
                    metrics=metrics,
                    settings=settings,
                    load_model=lambda: model,
                )
                nodes.append(group.create_task(_RUNS[role_of(name)](node)))
            for broker in stand.brokers.values():
                await asyncio.wait_for(broker.ready.wait(), DEADLINE_S)
            try:
                yield stand
            finally:
                stop.set()
                await asyncio.gather(*nodes)
                listening.cancel()
    finally:
        executor.close()
        transport.close()
        context.destroy(linger=0)


def with_work(message: FrameMessage, **changes: Any) -> FrameMessage:
    """The message with other values in its work."""
    return msgspec.structs.replace(message, work=msgspec.structs.replace(message.work, **changes))
