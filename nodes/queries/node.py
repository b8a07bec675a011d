"""Node `queries`: feature maps to instance queries of frames.

Input: `FeaturesMessage` from an encoder, notices of frames that do not come.
Step: pixel decoder and frame decoder on one batch of rows; those of newest frames of several streams may be one batch.
Output: `FrameQueriesMessage` to the decoder; `MaskFeaturesMessage` straight to masks, of the rows that masks may be
made of. It remembers nothing.
"""

from functools import partial

import torch

from ssa_stream.model import Stages
from ssa_stream.nodes.pipeline import DECODER, MASKS
from ssa_stream.nodes.runtime.batch_costs import BatchCosts, device_clock_s
from ssa_stream.nodes.runtime.batching import Batch, BatchedWork, BatchSize, serve_batches
from ssa_stream.nodes.runtime.dropping import Drops
from ssa_stream.nodes.runtime.node import NodeContext
from ssa_stream.nodes.runtime.serving import with_time
from ssa_stream.nodes.runtime.transport.interface import Outlet
from ssa_stream.nodes.runtime.transport.payload import OutgoingPayload
from ssa_stream.nodes.runtime.transport.received import ReceivedMessage
from ssa_stream.protocols import (
    DropReason,
    FeaturesMessage,
    FrameQueriesMessage,
    FrameWork,
    MaskFeaturesMessage,
)
from ssa_stream.streaming.encoding import MAX_ROWS, EncodedRows, RowQueries, generate_joint_rows, generate_rows
from ssa_stream.streaming.masking import own_features

__all__ = ["run"]

_MASKS_WAIT_S = 1.0
"""Mask features that masks does not take for so long are not sent if live; it is then being restarted."""
_HANG_SHARE = 0.5
"""Of the time after which a node hangs. For so long mask features are offered where every frame counts: masks may start
later than this node. If it is being restarted instead, all comes again in the next epoch."""


async def run(node: NodeContext) -> None:
    """Run the node until its `stop` is set."""
    inlet = node.inlet()
    decoder, masks = node.transport.outlet([DECODER]), node.transport.outlet([MASKS])
    try:
        queries = _Queries(node, await node.executor.run(node.load_model), decoder, masks)
        await serve_batches(node, inlet, decoder, FeaturesMessage, queries)
    finally:
        for link in (inlet, decoder, masks):
            link.close()


class _Queries(BatchedWork[FeaturesMessage, RowQueries]):
    def __init__(self, node: NodeContext, model: Stages, decoder: Outlet, masks: Outlet) -> None:
        self._node, self._model, self._decoder, self._masks = node, model, decoder, masks
        self._config = node.settings.to_session_config()
        self.drops = Drops(node, decoder)
        self.costs = BatchCosts(node.name, MAX_ROWS, device_clock_s(model.device))

    def size(self, message: FeaturesMessage) -> BatchSize | None:
        """Rows of newest frames of one size go together; replayed ones go alone."""
        count = message.sentence.shape[0]
        rows = message.work.rows()[message.first_row : message.first_row + count]
        if not rows or any(age for _, age in rows):
            return None
        return BatchSize(tuple((spec.shape[1:], spec.dtype) for spec in message.maps), count)

    async def take(self, message: FeaturesMessage, received: ReceivedMessage) -> bool:
        """Make queries of rows and send them; if that fails the frame is dropped, and the node goes on."""
        node, work = self._node, message.work
        begin_ns, size = node.clock.monotonic_ns(), self.size(message)
        executor, make = node.executor.handing_on(work.frame.live), partial(self._make, message, received)
        try:
            if size is None:
                made = await executor.run(make)
            else:
                made = await executor.run(self.costs.measured, size.kind, [size.rows], make)
            if received.is_valid():
                await self.send(message, received, made, begin_ns)
            else:
                await self.drops.drop(work, DropReason.NODE_RESTART)
        except Exception as error:  # of one frame: the node lives on
            await self.drops.drop(work, DropReason.FAILED, error=error)
            return False
        return True

    def make_together(self, batch: Batch[FeaturesMessage]) -> list[RowQueries]:
        """Make queries of newest frames of several streams as one batch."""
        sizes = [size for message, _ in batch if (size := self.size(message)) is not None]
        return self.costs.measured(sizes[0].kind, [size.rows for size in sizes], partial(self._make_together, batch))

    async def send(self, message: FeaturesMessage, received: ReceivedMessage, made: RowQueries, begin_ns: int) -> None:
        """Send what was made of rows."""
        done = with_time(self._node, message.work, received.received_ns, begin_ns)
        await self._send_mask_features(done, message.first_row, made)
        if not await self._send_queries(done, message.first_row, made):
            self.drops.count(message.work.frame, DropReason.QUEUE_FULL)

    @torch.inference_mode()
    def _make(self, message: FeaturesMessage, received: ReceivedMessage) -> RowQueries:
        model = self._model
        if not message.sentence.shape[0]:
            none = torch.zeros(0, model.config.num_queries, model.config.hidden_dim)
            return RowQueries(none, none[:, 0], none[..., None])
        return generate_rows(model, self._rows(message, received))

    @torch.inference_mode()
    def _make_together(self, batch: Batch[FeaturesMessage]) -> list[RowQueries]:
        return generate_joint_rows(self._model, [self._rows(*one) for one in batch])

    def _rows(self, message: FeaturesMessage, received: ReceivedMessage) -> EncodedRows:
        device = self._model.device
        stride4, stride8, stride16, stride32 = (received.tensor(spec, device) for spec in message.maps)
        return EncodedRows((stride4, stride8, stride16, stride32), received.tensor(message.sentence, device))

    async def _send_mask_features(self, work: FrameWork, first_row: int, made: RowQueries) -> None:
        ages = [age for _, age in work.rows()[first_row : first_row + len(made.queries)]]
        needed = [i for i, age in enumerate(ages) if age <= self._config.lookahead]
        if not needed:
            return
        payload = OutgoingPayload()
        message = MaskFeaturesMessage(
            work=work,
            first_row=first_row,
            rows=tuple(first_row + i for i in needed),
            mask_features=tuple(payload.add(own_features(made.mask_features[i], self._config)) for i in needed),
        )
        waits_s = 0.0 if work.frame.live else _HANG_SHARE * self._node.settings.health.hang_timeout_s
        deadline_ns = self._node.awake.monotonic_ns() + round(waits_s * 1e9)
        while not await self._masks.send(message, payload, timeout_s=_MASKS_WAIT_S):
            if self._node.stop.is_set() or self._node.awake.monotonic_ns() >= deadline_ns:
                self._node.metrics.count("features_not_sent", stream=work.frame.stream)
                break

    async def _send_queries(self, work: FrameWork, first_row: int, made: RowQueries) -> bool:
        payload = OutgoingPayload()
        message = FrameQueriesMessage(
            work=work, first_row=first_row, queries=payload.add(made.queries), text=payload.add(made.text)
        )
        return await self._decoder.send(message, payload)
