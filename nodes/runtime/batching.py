"""Frames of several streams that wait at the same moment are one batch, where that pays.

A frame never goes in a batch with another one of its own stream: a stream alone gets what a session gives, to the bit.
See ADR 0090.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Collection, Hashable, Sequence
from contextlib import ExitStack
from typing import Generic, NamedTuple, TypeAlias, TypeVar

import structlog

from ssa_stream.nodes.runtime.batch_costs import BatchCosts
from ssa_stream.nodes.runtime.dropping import Drops
from ssa_stream.nodes.runtime.node import NodeContext
from ssa_stream.nodes.runtime.transport.interface import Inlet, Outlet
from ssa_stream.nodes.runtime.transport.received import ReceivedMessage
from ssa_stream.protocols import DropNotice, DropReason, FeaturesMessage, FrameMessage

__all__ = ["Arrivals", "Batch", "BatchSize", "BatchedWork", "count_failed_batch", "serve_batches"]

M = TypeVar("M", FrameMessage, FeaturesMessage)
R = TypeVar("R")
Batch: TypeAlias = Sequence[tuple[M, ReceivedMessage]]
_LOG = structlog.get_logger()
_POLL_S = 0.1
"""How long a node may take to notice that it shall end."""
_MOST_WAITING = 64
"""Messages that a node takes off its link before their turn; others wait there."""
_FORGOTTEN_AFTER = 3.0
"""Intervals without a frame after which a stream is expected no more."""


class BatchSize(NamedTuple):
    """What decides whether messages can be one batch.

    Attributes:
        kind: Equal for those that can.
        rows: Frames under prompts, at least 1.
    """

    kind: Hashable
    rows: int


class BatchedWork(ABC, Generic[M, R]):
    """The work of a node whose frames may be done together; `R` is what is made of one.

    Attributes:
        drops: Where frames go that do not go on.
        costs: What batches cost.
    """

    drops: Drops
    costs: BatchCosts

    @abstractmethod
    def size(self, message: M) -> BatchSize | None:
        """How a message goes into a batch; None if it goes alone whatever else waits."""

    @abstractmethod
    def make_together(self, batch: Batch[M]) -> list[R]:
        """Do the work of several messages as one batch; in the thread for model work."""

    @abstractmethod
    async def send(self, message: M, received: ReceivedMessage, made: R, begin_ns: int) -> None:
        """Send what was made of a message in work that began at `begin_ns`."""

    @abstractmethod
    async def take(self, message: M, received: ReceivedMessage) -> bool:
        """Take a message that is no part of a batch; returns whether nothing failed."""


async def serve_batches(
    node: NodeContext, inlet: Inlet, outlet: Outlet, kind: type[M], work: BatchedWork[M, R]
) -> None:
    """Take frames as they come, those that wait together if that pays, until the node shall end.

    Each frame is a step, and is released after it.

    Args:
        node: The node; ready now.
        inlet: Where messages come.
        outlet: Gets the notices of frames that do not come.
        kind: Messages that are taken.
        work: Takes them.
    """
    node.broker.mark_ready()
    waiting = _Waiting(node, inlet, kind, work)
    try:
        while not node.stop.is_set():
            if not await waiting.fill():
                continue
            with ExitStack() as steps:
                taken = waiting.take()
                for one in taken:
                    steps.enter_context(one)
                    steps.enter_context(node.metrics.working())
                batch = [(one.message, one) for one in taken if isinstance(one.message, kind)]
                if batch:
                    await _take(node, work, batch)
                elif isinstance(taken[0].message, DropNotice):
                    await outlet.send(taken[0].message)
                else:
                    node.metrics.count("unexpected")
    finally:
        waiting.release()


async def _take(node: NodeContext, work: BatchedWork[M, R], batch: Batch[M]) -> None:
    """Take messages together; alone what is not too old, if only one is left or they fail."""
    fresh = [one for one in batch if not await work.drops.drop_stale(one[0].work)]
    if len(fresh) > 1 and await _take_together(node, work, fresh):
        return
    are_whole = [await work.take(message, received) for message, received in fresh]
    if len(fresh) > 1 and all(are_whole):  # no message was the reason
        sizes = [size for message, _ in fresh if (size := work.size(message)) is not None]
        work.costs.refuse(sizes[0].kind, [size.rows for size in sizes])


def count_failed_batch(node: NodeContext, frames: int, error: Exception) -> None:
    """Note that a batch failed; if a frame is the reason, that is told where it is taken alone."""
    node.metrics.count("batches_failed")
    _LOG.debug("a batch failed", node=node.name, frames=frames, error=f"{type(error).__name__}: {error}")


async def _take_together(node: NodeContext, work: BatchedWork[M, R], batch: Batch[M]) -> bool:
    begin_ns = node.clock.monotonic_ns()
    executor = node.executor.handing_on(any(message.work.frame.live for message, _ in batch))
    try:
        made = await executor.run(work.make_together, batch)
    except Exception as error:  # of one frame or of the batch: each is taken alone, where errors are told
        count_failed_batch(node, len(batch), error)
        return False
    node.metrics.count("batches")
    node.metrics.count("batched_frames", len(batch))
    for (message, received), one in zip(batch, made, strict=True):
        try:
            if received.is_valid():
                await work.send(message, received, one, begin_ns)
            else:
                await work.drops.drop(message.work, DropReason.NODE_RESTART)
        except Exception as error:  # of one frame: the others go on
            await work.drops.drop(message.work, DropReason.FAILED, error=error)
    return True


class _Waiting(Generic[M, R]):
    """Messages that came and were not taken, in order."""

    def __init__(self, node: NodeContext, inlet: Inlet, kind: type[M], work: BatchedWork[M, R]) -> None:
        self._node, self._inlet = node, inlet
        self._kind: type[M] = kind
        self._work: BatchedWork[M, R] = work
        flow = node.settings.flow
        self._is_batching = flow.batching != "never" and len(node.settings.streams) > 1
        self._max_wait_ns = round(flow.max_wait_ms * 1e6)
        self._messages = deque[ReceivedMessage]()
        self._arrivals = Arrivals()

    async def fill(self) -> bool:
        """Wait for a message, and for those that come with it; returns whether there is one."""
        if not self._messages and not await self._receive(_POLL_S):
            return False
        if self._is_batching:
            await self._receive_all()
            head = self._messages[0].message
            size = self._work.size(head) if isinstance(head, self._kind) else None
            if size is not None and self._work.costs.may_pay(size.kind):
                await self._await_others()
        return True

    def take(self) -> list[ReceivedMessage]:
        """Take the message that is next, with those that go with it."""
        head = self._messages[0].message
        size = self._work.size(head) if self._is_batching and isinstance(head, self._kind) else None
        if size is None:
            return [self._messages.popleft()]
        fitting, rows = self._fitting(size)
        taken = fitting[: self._work.costs.choose(size.kind, rows)]
        self._messages = deque(one for one in self._messages if not any(one is other for other in taken))
        return taken

    def release(self) -> None:
        """Let all go."""
        for one in self._messages:
            one.release()
        self._messages.clear()

    def _fitting(self, size: BatchSize) -> tuple[list[ReceivedMessage], list[int]]:
        """The first message of each stream, where it can go with the head; and the rows of each."""
        fitting, rows, seen = [], [], set[str]()
        for one in self._messages:
            name = _stream_of(one)
            if name not in seen and isinstance(one.message, self._kind):
                other = self._work.size(one.message)
                if other is not None and other.kind == size.kind:
                    fitting.append(one)
                    rows.append(other.rows)
            seen.add(name)
        return fitting, rows

    async def _await_others(self) -> None:
        """Take part in a batch as late as possible, and wait a moment for a stream whose frame is about to come.

        A stream without others waits for nothing.
        """
        now_ns = self._node.clock.monotonic_ns()
        here = {_stream_of(one) for one in self._messages}
        if self._node.executor.is_busy and self._arrivals.is_another_live(here, now_ns):
            await self._node.executor.run(_nothing)
            await self._receive_all()
            return
        until_ns = now_ns + self._max_wait_ns
        while self._arrivals.is_another_due(here, now_ns, until_ns, self._max_wait_ns):
            if not await self._receive((until_ns - now_ns) / 1e9):
                return
            await self._receive_all()
            here = {_stream_of(one) for one in self._messages}
            now_ns = self._node.clock.monotonic_ns()

    async def _receive_all(self) -> None:
        while len(self._messages) < _MOST_WAITING and await self._receive(0.0):
            pass

    async def _receive(self, timeout_s: float) -> bool:
        received = await self._inlet.receive(max(timeout_s, 0.0))
        if received is None:
            return False
        self._messages.append(received)
        if isinstance(received.message, self._kind):
            self._arrivals.note(_stream_of(received), received.received_ns)
        return True


class Arrivals:
    """When the next frame of each stream is to be expected."""

    def __init__(self) -> None:
        self._last_ns: dict[str, int] = {}
        self._interval_ns: dict[str, float] = {}

    def note(self, stream: str, at_ns: int) -> None:
        """A frame came. Intervals are averages of which the last one is a half."""
        if (last_ns := self._last_ns.get(stream)) is not None:
            interval_ns = at_ns - last_ns
            self._interval_ns[stream] = (self._interval_ns.get(stream, interval_ns) + interval_ns) / 2
        self._last_ns[stream] = at_ns

    def is_another_live(self, here: Collection[str], now_ns: int) -> bool:
        """Whether frames come from a stream besides these."""
        return any(
            now_ns - self._last_ns[stream] < _FORGOTTEN_AFTER * interval_ns
            for stream, interval_ns in self._interval_ns.items()
            if stream not in here
        )

    def is_another_due(self, here: Collection[str], now_ns: int, until_ns: int, late_ns: int) -> bool:
        """Whether a stream besides these has a frame by `until_ns`, or one that is late by at most `late_ns`."""
        return any(
            now_ns - late_ns <= self._last_ns[stream] + interval_ns <= until_ns
            for stream, interval_ns in self._interval_ns.items()
            if stream not in here and now_ns < until_ns
        )


def _stream_of(received: ReceivedMessage) -> str:
    """The stream of a message; empty for what is of none."""
    match received.message:
        case FrameMessage() | FeaturesMessage() as message:
            return message.work.frame.stream
        case DropNotice() as notice:
            return notice.frame.stream
        case _:
            return ""


def _nothing() -> None:
    """What is run to know that the thread has come to it."""
