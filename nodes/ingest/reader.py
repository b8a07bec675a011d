"""A blocking source, read from an event loop."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

import structlog

from ssa_stream.errors import SourceError, SsaStreamError
from ssa_stream.nodes.ingest.worker import Worker
from ssa_stream.sources import Frame, Freshest, Prefetch, Recovering, Source, SourceInfo

__all__ = ["SourceReader"]

T = TypeVar("T")
R = TypeVar("R")
_LOG = structlog.get_logger()


class SourceReader(Generic[T]):
    """Opens a source, takes its frames and works on each, in one thread of its own; closes it in another.

    Args:
        opener: Opens the source. Called once.
        prepare: Work on every frame that is asked for.
        name: Of the threads.
    """

    def __init__(self, opener: Callable[[], Source], prepare: Callable[[Frame], T], *, name: str) -> None:
        self._opener, self._prepare, self._name = opener, prepare, name
        self._worker = Worker(f"read {name}")
        self._closer: Worker | None = None
        self._halted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._guard = threading.Lock()
        self._source: Source | None = None
        self._is_halted = False
        self._frames: Iterator[Frame] | None = None

    @property
    def is_halted(self) -> bool:
        """Whether the source was told to close."""
        return self._is_halted

    @property
    def received(self) -> int:
        """Frames that came so far, those included that a newer one replaced before anybody took them."""
        source = self._source
        if not isinstance(source, Freshest | Prefetch):
            return 0
        inner = source.source
        return source.received + (inner.status.overtaken if isinstance(inner, Recovering) else 0)

    @property
    def dropped_last(self) -> int:
        """Frames that were overtaken although no gap in `seq` tells of it; see `Freshest`."""
        return self._source.dropped_last if isinstance(self._source, Freshest) else 0

    async def open(self) -> SourceInfo | None:
        """Open the source; None if it was told to close meanwhile.

        Raises:
            SourceError: It cannot be opened.
            ConfigError: It was asked for in a way that no such source can be.
        """
        return await self._call(self._open)

    async def next(self) -> T | None:
        """The next frame; None at the end of the source, or if it was told to close.

        Raises:
            SourceError: The source broke.
            ShapeError: The frame is no picture.
        """
        return await self._call(self._next)

    async def skip(self, is_wanted: Callable[[Frame], bool], keep: int) -> list[T]:
        """Take frames and throw them away.

        Args:
            is_wanted: Whether to go on after this frame.
            keep: How many of the last ones to work on and return.
        Raises:
            SourceError: As `next`.
        """
        return await self._call(lambda: self._skip(is_wanted, keep)) or []

    def halt(self) -> None:
        """Begin to close the source. Who waits for it is told at once; may be called again."""
        if self._is_halted:
            return
        with self._guard:
            self._is_halted = True
            source = self._source
        if not self._halted.done():
            self._halted.set_result(None)
        self._worker.submit(self._drop_frames)
        self._worker.close()
        self._closer = Worker(f"close {self._name}")
        if source is not None:
            self._closer.submit(source.close)
        self._closer.close()

    async def close(self, limit_s: float) -> bool:
        """Close the source, and wait for that no longer than `limit_s`; returns whether it is closed."""
        self.halt()
        assert self._closer is not None
        _, pending = await asyncio.wait({self._worker.ended, self._closer.ended}, timeout=limit_s)
        if pending:
            _LOG.warning("source does not let go; its threads are left behind", source=self._name, limit_s=limit_s)
        return not pending

    async def _call(self, work: Callable[[], R]) -> R | None:
        """Run something in the thread; None as soon as the source is told to close."""
        if self._is_halted:
            return None
        future = self._worker.submit(work)
        waits: set[asyncio.Future[Any]] = {future, self._halted}
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        return None if self._is_halted else future.result()

    def _open(self) -> SourceInfo:
        source = self._guarded(self._opener)
        with self._guard:
            self._source = source
            is_halted = self._is_halted
        if is_halted:
            source.close()
        self._frames = source.frames()
        return source.info

    def _next(self) -> T | None:
        frame = self._guarded(self._advance)
        return None if frame is None else self._prepare(frame)

    def _skip(self, is_wanted: Callable[[Frame], bool], keep: int) -> list[T]:
        kept: list[Frame] = []
        while (frame := self._guarded(self._advance)) is not None:
            kept = [*kept, frame][-keep:] if keep else []
            if self._is_halted or not is_wanted(frame):
                break
        return [self._prepare(frame) for frame in kept]

    def _advance(self) -> Frame | None:
        assert self._frames is not None, "open() comes first"
        return next(self._frames, None)

    def _guarded(self, call: Callable[[], R]) -> R:
        """Whatever a plug-in raises is an error of its source, not of the node."""
        try:
            return call()
        except SsaStreamError:
            raise
        except Exception as error:  # somebody else's code may raise anything
            raise SourceError(f"{self._name} failed: {type(error).__name__}: {error}") from error

    def _drop_frames(self) -> None:
        """End the iteration here, where it may wait, and not wherever the last reference goes."""
        frames, self._frames = self._frames, None
        close = getattr(frames, "close", None)
        if close is not None:
            close()
