"""Puts frames of one stream, which arrive over several paths, in order."""

from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from ssa_stream.protocols import DropReason, FrameIdentity

__all__ = ["Arrival", "Released", "StreamOrder"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Arrival(Generic[T]):
    """A frame, or a notice that it does not come.

    Attributes:
        frame: Which one.
        frames_missed: Numbers just before it, within its epoch, that were never sent.
        memory: Number of the stream's memory; None where that is not known.
        content: Whatever it is.
    """

    frame: FrameIdentity
    frames_missed: int
    memory: int | None
    content: T

    @property
    def key(self) -> tuple[int, int]:
        """Epoch and number, by which frames are in order."""
        return self.frame.epoch, self.frame.seq

    @property
    def predecessor(self) -> int:
        """Number of the frame before it in its epoch; below 0 if it is the first one."""
        return self.frame.seq - 1 - self.frames_missed


class Released(NamedTuple, Generic[T]):
    """What is next in order.

    Attributes:
        content: As it arrived.
        after_gap: Whether the frame before it was waited for in vain.
    """

    content: T
    after_gap: bool


class StreamOrder(Generic[T]):
    """Holds frames back until those before them are there, or have been waited for long enough.

    A newer epoch ends an older one. Where a node was restarted (the epoch has the same memory, or begins with a frame
    that was there before) what is left of the older epoch will come again, or is lost: it is not waited for. Where the
    source began anew, the frames before it are waited for as within an epoch; the index tells whether one is missing.

    Args:
        wait_ns: How long a frame waits for the one before it.
    """

    def __init__(self, wait_ns: int) -> None:
        self._wait_ns = wait_ns
        self._waiting: dict[tuple[int, int], tuple[Arrival[T], int]] = {}
        self._epoch: int | None = None
        self._seq = -1
        self._index = -1
        self._memory: int | None = None

    def offer(self, arrival: Arrival[T], now_ns: int) -> DropReason | None:
        """Take what came; returns why if it is of no use any more."""
        if self._epoch is not None and arrival.frame.epoch < self._epoch:
            return DropReason.NODE_RESTART
        if arrival.key in self._waiting or (self._epoch is not None and arrival.key <= (self._epoch, self._seq)):
            return DropReason.DUPLICATE
        self._waiting[arrival.key] = (arrival, now_ns)
        return None

    def take(self, now_ns: int) -> tuple[list[Released[T]], list[T]]:
        """What is in order now, and what an ended epoch has left behind."""
        left = self._leave_ended_epochs()
        released = []
        while self._waiting:
            arrival, since_ns = self._waiting[min(self._waiting)]
            follows = self._follows(arrival)
            if not follows and now_ns - since_ns < self._wait_ns:
                break
            del self._waiting[arrival.key]
            self._epoch, self._seq, self._index = arrival.frame.epoch, arrival.frame.seq, arrival.frame.index
            self._memory = self._memory if arrival.memory is None else arrival.memory
            released.append(Released(arrival.content, not follows))
        return released, left

    @property
    def deadline_ns(self) -> int | None:
        """When the wait for a missing frame ends; None if none is waited for."""
        return self._waiting[min(self._waiting)][1] + self._wait_ns if self._waiting else None

    def __len__(self) -> int:
        return len(self._waiting)

    def _follows(self, arrival: Arrival[T]) -> bool:
        if arrival.frame.epoch == self._epoch:
            return arrival.predecessor <= self._seq
        return arrival.predecessor < 0 and self._is_open(arrival.frame.epoch)

    def _is_open(self, epoch: int) -> bool:
        """Whether nothing of an older epoch is to be waited for before this one."""
        if self._epoch is None:
            return True
        return any(
            (arrival.memory is not None and arrival.memory == self._memory)
            or (arrival.predecessor < 0 and arrival.frame.index <= self._index + 1)
            for arrival in self._members(epoch)
        )

    def _leave_ended_epochs(self) -> list[T]:
        """Forget what waits for frames of its epoch that were lost in the restart of a node."""
        epochs = sorted({epoch for epoch, _ in self._waiting})
        ended = [old for i, old in enumerate(epochs) if any(self._ends(new, old) for new in epochs[i + 1 :])]
        left = [arrival for old in ended for arrival in self._members(old)]
        for arrival in left:
            del self._waiting[arrival.key]
        return [arrival.content for arrival in left]

    def _ends(self, new: int, old: int) -> bool:
        """Whether an epoch began because of a restart, so that what is missing of the older one will not come."""
        if self._epoch is not None and self._is_open(new):
            return True
        memories = {arrival.memory for arrival in self._members(new)} & {one.memory for one in self._members(old)}
        return bool(memories - {None})

    def _members(self, epoch: int) -> list[Arrival[T]]:
        return [arrival for arrival, _ in self._waiting.values() if arrival.frame.epoch == epoch]
