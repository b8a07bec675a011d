"""Waiting for something to become true in code that runs in one event loop."""

import asyncio
from collections.abc import Callable

__all__ = ["ChangeCondition"]


class ChangeCondition:
    """Tells all who wait that something changed; each looks whether it is what it waits for."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def notify(self) -> None:
        """Something changed."""
        changed, self._next = self._next, asyncio.Event()
        changed.set()

    async def wait(self, timeout_s: float) -> None:
        """Wait for the next change, but no longer than that."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._next.wait()
        except TimeoutError:
            return

    async def until(self, is_so: Callable[[], bool], timeout_s: float | None = None) -> bool:
        """Wait until something is so.

        Args:
            is_so: Asked at once and after every change.
            timeout_s: Longest wait; None for none.
        Returns:
            Whether it is so.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while not is_so():
                    await self._next.wait()
        except TimeoutError:
            return is_so()
        return True
