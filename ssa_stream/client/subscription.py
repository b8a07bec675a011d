"""Base of all subscriptions: waiting, with and without asyncio, and an orderly end."""

import asyncio
import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Hashable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Generic, Self, TypeVar

import zmq

from ssa_stream.client.newest import NewestPerKey, Taken
from ssa_stream.client.receiver import Receiver
from ssa_stream.errors import ConfigError, TransportError
from ssa_stream.keys import ClientKeys, client_keys

__all__ = ["DEFAULT_PUBLISH_ADDRESS", "Subscription"]

DEFAULT_PUBLISH_ADDRESS = "tcp://127.0.0.1:5555"

_Item = TypeVar("_Item")
_Kept = TypeVar("_Kept")


class Subscription(ABC, Generic[_Kept, _Item]):
    """Reads in a thread of its own and keeps a bounded number of messages until they are asked for.

    Iterate over it, with `for` or `async for`, as a context manager or until `close`. One consumer at a time.
    A publisher that goes away and comes back is found again; `is_connected` tells whether it is there.
    """

    def __init__(
        self,
        address: str,
        subscriptions: Sequence[bytes],
        *,
        capacity: int,
        timeout_s: float | None = None,
        keys: ClientKeys | str | Path | None = None,
    ) -> None:
        if timeout_s is not None and not timeout_s > 0:
            raise ConfigError(f"timeout_s is {timeout_s!r}; expected more than 0, or None to wait for ever")
        self.address = address
        self._timeout_s = timeout_s
        self._newest: NewestPerKey[_Kept] = NewestPerKey(capacity, self._wake)
        self._wake_consumer: Callable[[], None] | None = None
        self._is_closed = False
        self._keys = client_keys(keys)
        self._receiver = Receiver(address, subscriptions, self._on_parts, self._keys)

    @abstractmethod
    def _read(self, parts: list[zmq.Frame], arrived_ns: int) -> tuple[Hashable, _Kept] | None:
        """What to keep of a message and under which key; None for nothing. Called by the reading thread."""

    @abstractmethod
    def _open(self, taken: Taken[_Kept]) -> _Item | None:
        """What the consumer gets; None to pass it over. Called by the consumer."""

    @abstractmethod
    def _what(self) -> str:
        """What is waited for, for the text of an error."""

    @property
    def is_connected(self) -> bool:
        """Whether there is a publisher at the address now."""
        return not self._is_closed and self._receiver.is_connected

    @property
    def is_refused(self) -> bool:
        """Whether the publisher that was there last refused this client."""
        return self._receiver.is_refused

    def next(self, timeout_s: float | None = None) -> _Item | None:
        """Wait for the next message.

        Args:
            timeout_s: How long; None for ever.
        Returns:
            None if nothing came in time, or the subscription was closed.
        """
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._is_closed:
            taken = self._newest.take(_left(deadline_s))
            if taken is None:
                return None
            item = self._open(taken)
            if item is not None:
                return item
        return None

    async def next_async(self, timeout_s: float | None = None) -> _Item | None:
        """As `next`, for asyncio: nothing is lost when the wait is cancelled."""
        loop, came = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop was closed at this very moment
                loop.call_soon_threadsafe(came.set)

        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        self._wake_consumer = wake
        try:
            while not self._is_closed:
                came.clear()
                taken = self._newest.take()
                item = None if taken is None else self._open(taken)
                if item is not None:
                    return item
                if taken is None:
                    try:
                        async with asyncio.timeout(_left(deadline_s)):
                            await came.wait()
                    except TimeoutError:
                        return None
            return None
        finally:
            self._wake_consumer = None

    def close(self) -> None:
        """End the thread and the connection. May be called again, and while somebody waits."""
        if not self._is_closed:
            self._is_closed = True
            self._receiver.close()
            self._newest.close()
            self._wake()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[_Item]:
        return self

    def __next__(self) -> _Item:
        item = self.next(self._timeout_s)
        if item is None:
            raise self._end(StopIteration)
        return item

    def __aiter__(self) -> AsyncIterator[_Item]:
        return self

    async def __anext__(self) -> _Item:
        item = await self.next_async(self._timeout_s)
        if item is None:
            raise self._end(StopAsyncIteration)
        return item

    def _end(self, closed: type[Exception]) -> Exception:
        """Why there is nothing more."""
        if self._is_closed:
            return closed()
        waited = f"for {self._timeout_s:g} s"
        if self._receiver.is_refused:
            why = (
                "it takes in known clients only; give the folder of one as keys, made by: ssa-stream keys add"
                if self._keys is None
                else "its keys are not allowed there (ssa-stream keys list), of another graph, or that graph has none"
            )
            return TransportError(f"the publisher at {self.address} refuses this client {waited}: {why}")
        if not self.is_connected:
            return TransportError(
                f"there was no publisher at {self.address} {waited}; start one with: ssa-stream up, or name its address"
            )
        return TransportError(
            f"connected to {self.address}, but {self._what()} {waited}; see what is there with: ssa-stream status"
        )

    def _on_parts(self, parts: list[zmq.Frame]) -> None:
        kept = self._read(parts, time.monotonic_ns())
        if kept is not None:
            self._newest.put(*kept)

    def _wake(self) -> None:
        wake = self._wake_consumer
        if wake is not None:
            wake()


def _left(deadline_s: float | None) -> float | None:
    return None if deadline_s is None else max(0.0, deadline_s - time.monotonic())
