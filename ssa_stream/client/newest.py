"""The newest item of each key, and nothing older."""

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["NewestPerKey", "Taken"]

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Taken(Generic[_T]):
    """What was taken.

    Attributes:
        item: The newest of its key.
        overtaken: How many of its key were put since the last one was taken, and replaced.
    """

    item: _T
    overtaken: int


class NewestPerKey(Generic[_T]):
    """One slot for each key. Putting never waits; keys are taken in turn, so that a busy one starves no other.

    May be used by several threads. Who puts decides how many keys there may be, up to `capacity`; with more, the one
    that has waited longest goes.
    """

    def __init__(self, capacity: int, on_put: Callable[[], None] | None = None) -> None:
        """Make an empty one.

        Args:
            capacity: Most keys.
            on_put: Called after every put, by the thread that puts.
        """
        self._capacity = capacity
        self._on_put = on_put
        self._slots: dict[Hashable, Taken[_T]] = {}
        self._is_closed = False
        self._changed = threading.Condition()

    def put(self, key: Hashable, item: _T) -> None:
        """Put an item into its slot, in place of the one that is there."""
        with self._changed:
            old = self._slots.get(key)
            if old is None and len(self._slots) >= self._capacity:
                del self._slots[next(iter(self._slots))]
            self._slots[key] = Taken(item, 0 if old is None else old.overtaken + 1)
            self._changed.notify_all()
        if self._on_put is not None:
            self._on_put()

    def take(self, timeout_s: float | None = 0.0) -> Taken[_T] | None:
        """Take from the slot that was filled first.

        Args:
            timeout_s: How long to wait; None for ever.
        Returns:
            None if nothing came in time, or it was closed.
        """
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        with self._changed:
            while not self._slots:
                if self._is_closed:
                    return None
                left_s = None if deadline_s is None else deadline_s - time.monotonic()
                if left_s is not None and left_s <= 0:
                    return None
                self._changed.wait(left_s)
            return self._slots.pop(next(iter(self._slots)))

    def close(self) -> None:
        """Let nobody wait any more."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def __len__(self) -> int:
        with self._changed:
            return len(self._slots)
