"""A bounded queue between tasks of one event loop that says what happens when it is full, and counts it."""

import asyncio
from collections import deque
from typing import Generic, TypeVar

from ssa_stream.errors import ConfigError

__all__ = ["Mailbox"]

T = TypeVar("T")


class Mailbox(Generic[T]):
    """Holds a few items until they are taken, in order. Used from one event loop only.

    Args:
        capacity: Most items that it holds.
        drop_oldest: What `put` does when it is full: the oldest item makes room, or else the new one is not taken.

    Attributes:
        dropped: Items that were dropped so far.
    """

    def __init__(self, capacity: int = 1, *, drop_oldest: bool = True) -> None:
        if capacity < 1:
            raise ConfigError(f"mailbox with capacity {capacity}; expected at least 1")
        self.capacity = capacity
        self.dropped = 0
        self._drop_oldest = drop_oldest
        self._items: deque[T] = deque()
        self._filled = asyncio.Event()

    @property
    def depth(self) -> int:
        """Items in it now."""
        return len(self._items)

    def put(self, item: T) -> int:
        """Leave an item. Never waits.

        Returns:
            How many items were dropped for it: 0, or 1 when it was full.
        """
        is_full = len(self._items) >= self.capacity
        if not is_full or self._drop_oldest:
            if is_full:
                self._items.popleft()
            self._items.append(item)
            self._filled.set()
        self.dropped += is_full
        return int(is_full)

    async def get(self) -> T:
        """Take the oldest item; waits for one. Cancelling the wait loses nothing."""
        while not self._items:
            self._filled.clear()
            await self._filled.wait()
        return self._items.popleft()

    def take(self) -> T | None:
        """Take the oldest item if there is one."""
        return self._items.popleft() if self._items else None
