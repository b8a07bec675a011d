"""Node `encoder`: pictures and sentences to text-conditioned feature maps.

Input: `FrameMessage` from ingest, notices of frames that do not come.
Step: the prompt-free features of each picture, the text features of each sentence, then both together, batch by batch.
Output: `FeaturesMessage` to a queries node, one for each batch of rows.
It remembers nothing of a stream, only the text features of sentences.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

import torch
from torch import Tensor

from ssa_stream.model import Stages, TextFeatures, to_input
from ssa_stream.nodes.runtime.dropping import Drops
from ssa_stream.nodes.runtime.node import NodeContext
from ssa_stream.nodes.runtime.serving import serve_frames, with_time
from ssa_stream.nodes.runtime.transport.interface import Outlet
from ssa_stream.nodes.runtime.transport.payload import OutgoingPayload
from ssa_stream.nodes.runtime.transport.received import ReceivedMessage
from ssa_stream.protocols import DropReason, FeaturesMessage, FrameMessage, FrameWork
from ssa_stream.streaming.encoding import EncodedRows, Row, encode_rows, plan_rows

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
        await serve_frames(node, inlet, outlet, FrameMessage, encoder.take)
    finally:
        inlet.close()
        outlet.close()


class _Encoder:
    def __init__(self, node: NodeContext, model: Stages, outlet: Outlet) -> None:
        self._node, self._model, self._outlet = node, model, outlet
        self._drops = Drops(node, outlet)
        self._texts: SentenceCache[TextFeatures] = SentenceCache(lambda text: model.encode_text([text]))

    async def take(self, message: FrameMessage, received: ReceivedMessage) -> None:
        """Encode a frame and send its rows; if that fails the frame is dropped, and the node goes on."""
        node, work = self._node, message.work
        if await self._drops.drop_stale(work):
            return
        begin_ns = node.clock.monotonic_ns()
        try:
            stems, texts = await node.executor.run(self._prepare, message, received)
            first_row = 0
            for rows in list(plan_rows([item.frames for item in work.prompts])) or [()]:
                encoded = await node.executor.run(self._encode, stems, texts, rows)
                done = with_time(node, work, received.received_ns, begin_ns)
                if not await self._send(done, first_row, encoded):
                    await self._drops.drop(work, DropReason.QUEUE_FULL)
                    return
                first_row += len(rows)
        except _BuffersReclaimedError:
            await self._drops.drop(work, DropReason.NODE_RESTART)
        except Exception as error:  # of one frame: the node lives on
            await self._drops.drop(work, DropReason.FAILED, error=error)

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
