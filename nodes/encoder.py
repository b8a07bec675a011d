"""Node `encoder`: pictures and sentences to text-conditioned feature maps.

Input: `FrameMessage` from ingest, notices of frames that do not come.
Step: the prompt-free features of each picture, the text features of each sentence, then both together, batch by batch.
Output: `FeaturesMessage` to a queries node, one for each batch of rows.
It remembers nothing of a stream, only the text features of sentences.
"""

import torch
from torch import Tensor

from ssa_stream.model import SSA, TextFeatures, to_input
from ssa_stream.nodes.runtime.delivery import Delivery
from ssa_stream.nodes.runtime.node import NodeContext
from ssa_stream.nodes.runtime.parcel import Parcel
from ssa_stream.nodes.runtime.transport import Outlet
from ssa_stream.nodes.steps.dropping import Drops, is_stale
from ssa_stream.nodes.steps.serving import deliveries, with_time
from ssa_stream.nodes.steps.texts import SentenceCache
from ssa_stream.protocols import DropNotice, DropReason, FeaturesMessage, FrameMessage, FrameWork
from ssa_stream.streaming.encoding import EncodedRows, Row, encode_rows, plan_rows

__all__ = ["run"]


async def run(node: NodeContext) -> None:
    """Run the node until its `stop` is set."""
    inlet = node.inlet()
    outlet = node.transport.outlet(node.settings.queries_names)
    try:
        encoder = _Encoder(node, await node.executor.run(node.load_model), outlet)
        node.hub.mark_ready()
        async for delivery in deliveries(node, inlet):
            match delivery.message:
                case FrameMessage() as message:
                    await encoder.take(message, delivery)
                case DropNotice() as notice:
                    await outlet.send(notice)
                case _:
                    node.metrics.count("unexpected")
    finally:
        inlet.close()
        outlet.close()


class _Encoder:
    def __init__(self, node: NodeContext, model: SSA, outlet: Outlet) -> None:
        self._node, self._model, self._outlet = node, model, outlet
        self._drops = Drops(node, outlet)
        self._texts: SentenceCache[TextFeatures] = SentenceCache(lambda text: model.encode_text([text]))

    async def take(self, message: FrameMessage, delivery: Delivery) -> None:
        """Encode a frame and send its rows; if that fails the frame is dropped, and the node goes on."""
        node, work = self._node, message.work
        if is_stale(work, node.settings, clock=node.clock.name, now_ns=node.clock.monotonic_ns()):
            await self._drops.drop(work, DropReason.STALE)
            return
        begin_ns = node.clock.monotonic_ns()
        try:
            stems, texts = await node.executor.run(self._prepare, message, delivery)
            first_row = 0
            for rows in list(plan_rows([item.frames for item in work.prompts])) or [()]:
                encoded = await node.executor.run(self._encode, stems, texts, rows)
                done = with_time(node, work, delivery.received_ns, begin_ns)
                if not await self._send(done, first_row, encoded):
                    await self._drops.drop(work, DropReason.QUEUE_FULL)
                    return
                first_row += len(rows)
        except _GoneError:
            await self._drops.drop(work, DropReason.NODE_RESTART)
        except Exception as error:  # of one frame: the node lives on
            await self._drops.drop(work, DropReason.FAILED, error=error)

    @torch.inference_mode()
    def _prepare(self, message: FrameMessage, delivery: Delivery) -> tuple[list[Tensor], list[TextFeatures]]:
        """Prompt-free features of the pictures, oldest first and each alone as a session does, and text features."""
        model, prompts = self._model, message.work.prompts
        pictures = [*message.history, message.image] if prompts else []
        inputs = [to_input([delivery.array(spec)], model.device, model.dtype) for spec in pictures]
        if not delivery.is_valid():
            raise _GoneError
        return [model.encode_stem(one) for one in inputs], [self._texts[item.prompt.text] for item in prompts]

    @torch.inference_mode()
    def _encode(self, stems: list[Tensor], texts: list[TextFeatures], rows: tuple[Row, ...]) -> EncodedRows:
        if not rows:
            none = torch.zeros(0, 1, 1, 1)
            return EncodedRows((none, none.clone(), none.clone(), none.clone()), torch.zeros(0, 1))
        return encode_rows(self._model, stems, texts, rows)

    async def _send(self, work: FrameWork, first_row: int, encoded: EncodedRows) -> bool:
        parcel = Parcel()
        stride4, stride8, stride16, stride32 = (parcel.add(one) for one in encoded.maps)
        maps = (stride4, stride8, stride16, stride32)
        sentence = parcel.add(encoded.sentence)
        message = FeaturesMessage(work=work, first_row=first_row, maps=maps, sentence=sentence)
        return await self._outlet.send(message, parcel)


class _GoneError(Exception):
    """The sender took the memory of the pictures back."""


if __name__ == "__main__":
    from ssa_stream.nodes.runtime.main import node_main

    node_main(run)
