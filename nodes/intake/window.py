"""The frames of a stream that are not finished, in order, and how many there may be."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Generic, NamedTuple, TypeVar

__all__ = ["Entry", "Position", "Window"]

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


class Window(Generic[T]):
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
