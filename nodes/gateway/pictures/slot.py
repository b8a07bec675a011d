"""A slot that keeps only the newest item."""

import asyncio
from typing import Generic, TypeVar

__all__ = ["NewestSlot"]

_T = TypeVar("_T")


class NewestSlot(Generic[_T]):
    """Holds one item; a newer one takes its place, and that is counted. For one event loop and one taker.

    Attributes:
        overtaken: Items that were replaced before anybody took them.
    """

    def __init__(self) -> None:
        self.overtaken = 0
        self._item: _T | None = None
        self._is_closed = False
        self._changed = asyncio.Event()

    def put(self, item: _T) -> None:
        """Put an item in, in place of what is there."""
        self.overtaken += self._item is not None
        self._item = item
        self._changed.set()

    async def take(self) -> _T | None:
        """Wait for an item and take it; None when the slot is closed and empty."""
        while self._item is None and not self._is_closed:
            self._changed.clear()
            await self._changed.wait()
        item, self._item = self._item, None
        return item

    def close(self) -> None:
        """Nothing more comes; who waits is told. What is there may still be taken."""
        self._is_closed = True
        self._changed.set()
