"""Frames in flight: what they are, their order, and how many there may be."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from ssa_stream.nodes.ingest.picture import Picture
from ssa_stream.protocols import AppliesFrom, FrameIdentity, Prompt
from ssa_stream.sources import Frame

__all__ = ["EndOfFrames", "Entry", "InFlightFrames", "Position", "UnfinishedFrame", "identity"]

_MAX_RATIONAL = 2**31 - 1


T = TypeVar("T")


class Position(NamedTuple):
    """Place of a frame in its stream; compares as frames are ordered."""

    epoch: int
    seq: int


@dataclass(frozen=True, slots=True, eq=False)
class Entry(Generic[T]):
    """Something that is not finished.

    Attributes:
        position: Where it stands now.
        content: What it is.
        sent_as: Position under which it left last; None if it never did.
    """

    position: Position
    content: T
    sent_as: Position | None = None

    @property
    def is_sent(self) -> bool:
        """Whether it left under its present position."""
        return self.sent_as == self.position


class InFlightFrames(Generic[T]):
    """Keeps what is not finished, so that it can be sent again.

    Args:
        capacity: Entries that it has room for, at least 1. More can be added by who must.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._entries: deque[Entry[T]] = deque()

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry[T]]:
        """From the oldest to the newest."""
        return iter(tuple(self._entries))

    @property
    def has_room(self) -> bool:
        """Whether another frame may be taken."""
        return len(self._entries) < self.capacity

    def add(self, position: Position, content: T) -> None:
        """Add what comes after all others."""
        assert not self._entries or self._entries[-1].position < position, "positions grow"
        self._entries.append(Entry(position, content))

    def next_unsent(self) -> Entry[T] | None:
        """The oldest entry that has not left under its present position."""
        return next((entry for entry in self._entries if not entry.is_sent), None)

    def mark_sent(self, position: Position) -> None:
        """The entry there leaves now."""
        self._replace(position, lambda entry: replace(entry, sent_as=position))

    def mark_unsent(self, position: Position) -> None:
        """Nobody took the entry there; nothing happens if it is not there any more."""
        self._replace(position, lambda entry: replace(entry, sent_as=None))

    def withdraw(self, position: Position) -> bool:
        """Take an entry out that nobody took; False if it is not there any more."""
        left = [entry for entry in self._entries if entry.position != position]
        found = len(left) < len(self._entries)
        self._entries = deque(left)
        return found

    def finish(self, position: Position) -> list[Entry[T]]:
        """Everything up to a position, as it was sent, is done with; returns what was not yet.

        What left again under a new position is finished under that one only. And so is what comes after it: who
        goes back to an earlier frame needs the later ones too.
        """
        done = []
        while self._entries and (sent := self._entries[0].sent_as) is not None and sent <= position:
            done.append(self._entries.popleft())
        return done

    def renumber(self, epoch: int) -> int:
        """Give all entries numbers from 0 on in a new epoch, in which they have to be sent again.

        Returns:
            The next free number.
        """
        self._entries = deque(replace(entry, position=Position(epoch, seq)) for seq, entry in enumerate(self._entries))
        return len(self._entries)

    def remove(self, is_lost: Callable[[Entry[T]], bool]) -> list[Entry[T]]:
        """Take out what is lost; returns it."""
        lost = [entry for entry in self._entries if is_lost(entry)]
        self._entries = deque(entry for entry in self._entries if not is_lost(entry))
        return lost

    def _replace(self, position: Position, change: Callable[[Entry[T]], Entry[T]]) -> None:
        self._entries = deque(change(entry) if entry.position == position else entry for entry in self._entries)


@dataclass(frozen=True, slots=True, eq=False)
class UnfinishedFrame:
    """A frame with all that is needed to send it again as it was sent first.

    Attributes:
        index: Number in the stream.
        memory: Number of the stream's memory.
        picture: The frame.
        history: Pictures of the frames sent before it, oldest first.
        prompts: All prompts that apply to it.
        prompts_version: Version that these are.
        applies_from: First frame that they apply to.
        opening: Which opening of the source it comes from.
        source_count: Frames of that opening up to it, those that were overtaken included.
        live: Whether the newest frame counted more than all frames when it came.
    """

    index: int
    memory: int
    picture: Picture
    history: tuple[NDArray[np.uint8], ...]
    prompts: tuple[Prompt, ...]
    prompts_version: int
    applies_from: AppliesFrom
    opening: int
    source_count: int
    live: bool


@dataclass(frozen=True, slots=True, eq=False)
class EndOfFrames:
    """No frame comes for now: what waits for later ones is made with what is known.

    Attributes:
        index: Index that the next frame will have, if one ever comes.
        frame: The last frame of the source.
        live: As of a frame.
    """

    index: int
    frame: Frame
    live: bool


def identity(stream: str, position: Position, index: int, frame: Frame, clock: str, *, live: bool) -> FrameIdentity:
    """How a frame is called on the wire.

    Args:
        stream: Name of the stream.
        position: In the stream.
        index: In the stream, across epochs.
        frame: As it came from the source.
        clock: Name of the clock of `time.monotonic_ns`, which sources stamp with.
        live: Whether it may be dropped when it is old.
    """
    base = frame.time_base
    captured_ns, capture_clock = frame.t_capture_ns, clock
    if frame.capture_clock == "camera":
        captured_ns, capture_clock = frame.t_camera_ns, f"camera:{stream}"
    is_timed = base is not None and 0 < base.numerator <= _MAX_RATIONAL and base.denominator <= _MAX_RATIONAL
    return FrameIdentity(
        stream=stream,
        epoch=position.epoch,
        seq=position.seq,
        index=index,
        t=float(frame.t),
        t_receive_ns=frame.t_receive_ns,
        receive_clock=clock,
        pts=frame.pts if is_timed else None,
        time_base=(base.numerator, base.denominator) if base is not None and is_timed else None,
        t_capture_ns=captured_ns,
        capture_clock=None if captured_ns is None else capture_clock,
        live=live,
    )
