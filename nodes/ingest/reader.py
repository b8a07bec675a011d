"""A blocking source, read from an event loop."""

import asyncio
import contextlib
import functools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

import structlog

from ssa_stream.errors import SsaStreamError
from ssa_stream.nodes.ingest.change_condition import ChangeCondition
from ssa_stream.rates import RateMeter
from ssa_stream.sources import Frame, SourceInfo
from ssa_stream.sources.buffer import BufferedSource
from ssa_stream.sources.source import warnings_of
from ssa_stream.sources.status import losses_of
from ssa_stream.sources.unexpected import foreseen

__all__ = ["SourceReader"]

R = TypeVar("R")
T = TypeVar("T")
_LOG = structlog.get_logger()


class SourceReader(Generic[T]):
    """Opens a source and reads it into its buffer, in one thread that may be left behind; takes its frames from there.

    Args:
        opener: Opens the source, in that thread. Called once.
        prepare: Work on every frame that is asked for, in a thread for that alone.
        name: Of the threads.
    """

    def __init__(self, opener: Callable[[], BufferedSource], prepare: Callable[[Frame], T], *, name: str) -> None:
        self._opener, self._prepare, self._name = opener, prepare, name
        self._loop = asyncio.get_running_loop()
        self._changed = ChangeCondition()
        self._preparer = ThreadPoolExecutor(1, thread_name_prefix=f"prepare {name}")
        self._guard = threading.Lock()
        self._source: BufferedSource | None = None
        self._is_halted = False
        self._left = 0
        self._threads: list[asyncio.Future[None]] = []

    @property
    def is_halted(self) -> bool:
        """Whether the source was told to close."""
        return self._is_halted

    @property
    def waiting(self) -> int:
        """Frames that came, were not overtaken, and did not leave by `next` or `skip`."""
        if self._source is None:
            return 0
        buffer = self._source.buffer
        return buffer.received - buffer.overtaken - self._left

    @property
    def rate(self) -> RateMeter:
        """How fast frames come from the source, once it is open."""
        return RateMeter() if self._source is None else self._source.buffer.rate

    @property
    def undelivered(self) -> dict[str, int]:
        """Frames that the source decoded and did not deliver, by `DropReason`."""
        return losses_of(self._source).undelivered

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the source knows to be incomplete so far."""
        return () if self._source is None else warnings_of(self._source)

    @property
    def dropped_last(self) -> int:
        """Frames that were overtaken although no gap in `seq` tells of it; see `FrameBuffer`."""
        return 0 if self._source is None else self._source.buffer.overtaken_last

    async def open(self) -> SourceInfo | None:
        """Open the source and begin to read; None if it was told to close meanwhile.

        Raises:
            SourceError: It cannot be opened.
            ConfigError: It was asked for in a way that no such source can be.
        """
        if self._is_halted:
            return None
        opened: asyncio.Future[SourceInfo] = self._loop.create_future()
        opened.add_done_callback(lambda done: done.cancelled() or done.exception())  # perhaps nobody waits any more
        self._threads.append(_in_thread(functools.partial(self._read, opened), f"read {self._name}"))
        await self._changed.until(lambda: opened.done() or self._is_halted)
        return None if self._is_halted else opened.result()

    async def next(self) -> T | None:
        """The next frame; None at the end of the source, or if it was told to close.

        Raises:
            SourceError: The source broke.
            ShapeError: The frame is no picture.
        """
        frame = await self._take()
        prepared = None if frame is None else await self._prepared(frame)
        self._left += prepared is not None
        return prepared

    async def skip(self, is_wanted: Callable[[Frame], bool], keep: int) -> list[T]:
        """Take frames and throw them away.

        Args:
            is_wanted: Whether to go on after this frame.
            keep: How many of the last ones to work on and return.
        Raises:
            SourceError: As `next`.
        """
        kept: list[Frame] = []
        while (frame := await self._take()) is not None:
            self._left += 1
            kept = [*kept, frame][-keep:] if keep else []
            if not is_wanted(frame):
                break
        prepared = [await self._prepared(frame) for frame in kept]
        return [item for item in prepared if item is not None]

    def halt(self) -> None:
        """Begin to close the source. Who waits for it is told at once; may be called again."""
        if self._is_halted:
            return
        with self._guard:
            self._is_halted = True
            source = self._source
        self._changed.notify()
        self._preparer.shutdown(wait=False)
        if source is not None:
            self._threads.append(_in_thread(source.close, f"close {self._name}"))

    async def close(self, limit_s: float) -> bool:
        """Close the source, and wait for that no longer than `limit_s`; returns whether it is closed."""
        self.halt()
        pending = (await asyncio.wait(self._threads, timeout=limit_s))[1] if self._threads else ()
        if pending:
            _LOG.warning("source does not let go; its threads are left behind", source=self._name, limit_s=limit_s)
        return not pending

    async def _take(self) -> Frame | None:
        source = self._source
        if self._is_halted or source is None:
            return None
        buffer = source.buffer
        if not await self._changed.until(lambda: buffer.is_ready or self._is_halted, source.longest_wait_s):
            raise source.stalled()
        return None if self._is_halted else self._guarded(buffer.take)

    async def _prepared(self, frame: Frame) -> T | None:
        if self._is_halted:
            return None
        result = await self._loop.run_in_executor(self._preparer, self._guarded, lambda: self._prepare(frame))
        return None if self._is_halted else result

    def _read(self, opened: "asyncio.Future[SourceInfo]") -> None:
        """What the thread does."""
        try:
            source = self._guarded(self._opener)
        except SsaStreamError as error:
            self._post(opened.set_exception, error)
            return
        source.buffer.on_change = self._post
        with self._guard:
            self._source = source
            is_halted = self._is_halted
        self._post(opened.set_result, source.info)
        if is_halted:
            source.close()
        else:
            source.fill()

    def _post(self, call: Callable[..., object] | None = None, *args: object) -> None:
        """Do something in the event loop, and let those who wait there look."""
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits any more
            if call is not None:
                self._loop.call_soon_threadsafe(call, *args)
            self._loop.call_soon_threadsafe(self._changed.notify)

    def _guarded(self, call: Callable[[], R]) -> R:
        """Whatever a plug-in raises, or its frames make others raise, is an error of its source, not of the node."""
        try:
            return call()
        except SsaStreamError:
            raise
        except Exception as error:  # somebody else's code may raise anything
            raise foreseen(self._name, error) from error


def _in_thread(call: Callable[[], object], name: str) -> "asyncio.Future[None]":
    """Run a call that may never return; the future is done when it has ended, whatever came of it.

    Unlike an executor's, the thread is no reason for the process to wait at its end: a camera whose driver hangs must
    not keep a node from ending.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def run() -> None:
        try:
            with contextlib.suppress(Exception):  # of a source that is given up
                call()
        finally:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(ended.set_result, None)

    threading.Thread(target=run, name=name, daemon=True).start()
    return ended
