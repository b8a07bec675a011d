"""Node `encoder`: pictures and sentences to text-conditioned feature maps.

Input: `FrameMessage` from ingest, notices of frames that do not come.
Step: the prompt-free features of each picture, the text features of each sentence, then both together, batch by batch.
Newest frames of several streams may be one batch.
Output: `FeaturesMessage` to a queries node, one for each batch of rows.
It remembers nothing of a stream, only the text features of sentences.
"""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar

import torch
from torch import Tensor

from ssa_stream.model import Stages, TextFeatures, to_input
from ssa_stream.nodes.runtime.batch_costs import BatchCosts, device_clock_s
from ssa_stream.nodes.runtime.batching import Batch, BatchedWork, BatchSize, serve_batches
from ssa_stream.nodes.runtime.dropping import Drops
from ssa_stream.nodes.runtime.node import NodeContext
from ssa_stream.nodes.runtime.serving import with_time
from ssa_stream.nodes.runtime.transport.interface import Outlet
from ssa_stream.nodes.runtime.transport.payload import OutgoingPayload
from ssa_stream.nodes.runtime.transport.received import ReceivedMessage
from ssa_stream.protocols import DropReason, FeaturesMessage, FrameMessage, FrameWork
from ssa_stream.streaming.encoding import MAX_ROWS, EncodedRows, Row, encode_newest, encode_rows, plan_rows

__all__ = ["SentenceCache", "run"]

T = TypeVar("T")


class SentenceCache(Generic[T]):
    """Keeps what was made of a sentence; the one that was not used for longest goes first.

    Args:
        encode: Makes it. What it raises is passed on, and nothing is kept.
        capacity: Sentences that are kept, at least 1.
    """

    def __init__(self, encode: Callable[[str], T], capacity: int = 256) -> None:
        self._encode = encode
        self._capacity = capacity
        self._kept: OrderedDict[str, T] = OrderedDict()

    def __getitem__(self, text: str) -> T:
        """What was made of the sentence, now or before."""
        if text not in self._kept:
            self._kept[text] = self._encode(text)
            if len(self._kept) > self._capacity:
                self._kept.popitem(last=False)
        self._kept.move_to_end(text)
        return self._kept[text]

    def __len__(self) -> int:
        return len(self._kept)


async def run(node: NodeContext) -> None:
    """Run the node until its `stop` is set."""
    inlet = node.inlet()
    outlet = node.transport.outlet(node.settings.queries_names)
    try:
        encoder = _Encoder(node, await node.executor.run(node.load_model), outlet)
        await serve_batches(node, inlet, outlet, FrameMessage, encoder)
    finally:
        inlet.close()
        outlet.close()


class _Encoder(BatchedWork[FrameMessage, EncodedRows]):
    def __init__(self, node: NodeContext, model: Stages, outlet: Outlet) -> None:
        self._node, self._model, self._outlet = node, model, outlet
        self._texts: SentenceCache[TextFeatures] = SentenceCache(lambda text: model.encode_text([text]))
        self.drops = Drops(node, outlet)
        self.costs = BatchCosts(node.name, MAX_ROWS, device_clock_s(model.device))

    def size(self, message: FrameMessage) -> BatchSize | None:
        """Newest frames of one size go together; one whose earlier pictures are replayed goes alone."""
        prompts = message.work.prompts
        if not prompts or message.history or len(prompts) > MAX_ROWS:
            return None
        return BatchSize(message.image.shape, len(prompts))

    async def take(self, message: FrameMessage, received: ReceivedMessage) -> bool:
        """Encode a frame and send its rows; if that fails the frame is dropped, and the node goes on."""
        node, work = self._node, message.work
        begin_ns, executor = node.clock.monotonic_ns(), node.executor.handing_on(work.frame.live)
        try:
            if (size := self.size(message)) is not None:
                made = await executor.run(
                    self.costs.measured, size.kind, [size.rows], partial(self._make, message, received)
                )
                await self.send(message, received, made, begin_ns)
                return True
            stems, texts = await node.executor.run(self._prepare, message, received)
            first_row = 0
            for rows in list(plan_rows([item.frames for item in work.prompts])) or [()]:
                encoded = await executor.run(self._encode, stems, texts, rows)
                done = with_time(node, work, received.received_ns, begin_ns)
                if not await self._send(done, first_row, encoded):
                    await self.drops.drop(work, DropReason.QUEUE_FULL)
                    return True
                first_row += len(rows)
        except _BuffersReclaimedError:
            await self.drops.drop(work, DropReason.NODE_RESTART)
        except Exception as error:  # of one frame: the node lives on
            await self.drops.drop(work, DropReason.FAILED, error=error)
            return False
        return True

    def make_together(self, batch: Batch[FrameMessage]) -> list[EncodedRows]:
        """Encode the newest frames of several streams as one batch."""
        rows = [len(message.work.prompts) for message, _ in batch]
        return self.costs.measured(batch[0][0].image.shape, rows, partial(self._make_together, batch))

    async def send(self, message: FrameMessage, received: ReceivedMessage, made: EncodedRows, begin_ns: int) -> None:
        """Send all rows of a frame."""
        done = with_time(self._node, message.work, received.received_ns, begin_ns)
        if not await self._send(done, 0, made):
            await self.drops.drop(message.work, DropReason.QUEUE_FULL)

    def _make(self, message: FrameMessage, received: ReceivedMessage) -> EncodedRows:
        """Encode a frame of which nothing is replayed."""
        stems, texts = self._prepare(message, received)
        (rows,) = plan_rows([item.frames for item in message.work.prompts])
        return self._encode(stems, texts, rows)

    @torch.inference_mode()
    def _make_together(self, batch: Batch[FrameMessage]) -> list[EncodedRows]:
        pictures = [received.array(message.image) for message, received in batch]
        texts = [[self._texts[item.prompt.text] for item in message.work.prompts] for message, _ in batch]
        stems = self._model.encode_stem(to_input(pictures, self._model.device, self._model.dtype))
        return encode_newest(self._model, stems, texts)

    @torch.inference_mode()
    def _prepare(self, message: FrameMessage, received: ReceivedMessage) -> tuple[list[Tensor], list[TextFeatures]]:
        """Prompt-free features of the pictures, oldest first and each alone as a session does, and text features."""
        model, prompts = self._model, message.work.prompts
        pictures = [*message.history, message.image] if prompts else []
        inputs = [to_input([received.array(spec)], model.device, model.dtype) for spec in pictures]
        if not received.is_valid():
            raise _BuffersReclaimedError
        return [model.encode_stem(one) for one in inputs], [self._texts[item.prompt.text] for item in prompts]

    @torch.inference_mode()
    def _encode(self, stems: list[Tensor], texts: list[TextFeatures], rows: tuple[Row, ...]) -> EncodedRows:
        if not rows:
            none = torch.zeros(0, 1, 1, 1)
            return EncodedRows((none, none.clone(), none.clone(), none.clone()), torch.zeros(0, 1))
        return encode_rows(self._model, stems, texts, rows)

    async def _send(self, work: FrameWork, first_row: int, encoded: EncodedRows) -> bool:
        payload = OutgoingPayload()
        stride4, stride8, stride16, stride32 = (payload.add(one) for one in encoded.maps)
        maps = (stride4, stride8, stride16, stride32)
        sentence = payload.add(encoded.sentence)
        message = FeaturesMessage(work=work, first_row=first_row, maps=maps, sentence=sentence)
        return await self._outlet.send(message, payload)


class _BuffersReclaimedError(Exception):
    """The sender took the memory of the pictures back."""
