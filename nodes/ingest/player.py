"""Reads the source of a stream: opens it, takes frames while there is room, tries again after a loss, ends."""

import asyncio
import contextlib
from collections.abc import Callable

from ssa_stream.backoff import backoff_s
from ssa_stream.errors import ConfigError, ShapeError, SourceError
from ssa_stream.nodes.ingest.picture import Picture
from ssa_stream.nodes.ingest.prompts import PlannedChanges, planned_book
from ssa_stream.nodes.ingest.reader import SourceReader
from ssa_stream.nodes.ingest.stream import IngestStream, SourceFailure
from ssa_stream.protocols import DropReason, EventKind
from ssa_stream.sources import (
    Frame,
    Freshest,
    OnState,
    Prefetch,
    Source,
    SourceInfo,
    SourceStage,
    SourceStatus,
    redact,
)

__all__ = ["OpenSource", "SourcePlayer"]

OpenSource = Callable[[str, bool | None, OnState], Source]
"""Opens a source by its address; the other arguments are `live` and `on_state` of `open_source`."""

_CLOSE_LIMIT_S = 0.8
"""The node ends within a second, whatever the source does."""
_RETRY_S = 0.5
_RETRY_MAX_S = 10.0
"""Waits before a source that does not recover by itself is opened again."""
_BROKEN = (SourceError, ShapeError)


class SourcePlayer:
    """Keeps the source of one stream playing, as long as it is wanted.

    Args:
        stream: Whose source.
        open_source: Opens it.
        prepare: Makes a picture of a frame; runs in a thread for that.
        max_prompts: Limit of prompts, for planned changes.
    """

    def __init__(
        self,
        stream: IngestStream,
        *,
        open_source: OpenSource,
        prepare: Callable[[Frame], Picture],
        max_prompts: int,
    ) -> None:
        self._stream = stream
        self._open_source, self._prepare = open_source, prepare
        self._max_prompts = max_prompts
        self._planned = PlannedChanges(stream.section.changes)
        self._reader: SourceReader[Picture] | None = None
        self._is_wanted = True
        self._orders = 0  # how many requests came; who waits sees that it is out of date
        self._to_skip = 0
        self._taken = 0
        self._attempts = 0  # to open the source, since its last frame
        self._was_lost = False
        self._lost_epoch: int | None = None  # of the source: its frames may still wait when it is lost
        self._is_resumed = False
        self._told_last = 0  # of the frames of the present opening that no gap in numbers tells of
        self._warned: set[str] = set()

    async def run(self) -> None:
        """Play until cancelled.

        Raises:
            ConfigError: The pipeline asks for its source in a way that no such source can be.
        """
        stream = self._stream
        await stream.changed.until(lambda: stream.is_started)
        tracker = stream.tracker
        # Indices go on when a recording is played again; its frames count from its beginning.
        self._to_skip, self._taken = (
            tracker.frames_done,
            tracker.frames_done if tracker.every_frame else tracker.next_index,
        )
        self._is_resumed = bool(self._to_skip or self._taken)
        while True:
            await stream.changed.until(lambda: self._is_wanted)
            orders = self._orders
            try:
                is_at_end = await self._play()
            except _BROKEN as error:
                await self._broke(error, orders)
            except ConfigError as error:
                if stream.address == stream.section.source:
                    raise
                await self._fail(error, orders)
            else:
                if is_at_end:
                    await self._end(orders)

    # -- requests

    def start(self, address: str | None = None) -> None:
        """Play from the beginning, unless it plays already and no other address is given."""
        stream = self._stream
        if self._is_wanted and address in (None, stream.address):
            return
        if address is not None:
            stream.address = address
        self._order(is_wanted=True)
        self._begin_anew("the source is started", from_first_frame=True)
        self._to_skip = self._taken = 0

    def reconnect(self, address: str | None = None) -> None:
        """Close the source and open it, or another one, again."""
        if address is not None:
            self._stream.address = address
        self._order(is_wanted=True)
        is_recording = not self._stream.live
        self._begin_anew("the source is connected anew", from_first_frame=is_recording)
        if is_recording:
            self._to_skip = self._taken = 0

    def stop(self) -> None:
        """Close the source; what is under way is finished."""
        self._order(is_wanted=False)
        self._stream.tracker.end()
        self._stream.set_status("stopped")

    def _order(self, *, is_wanted: bool) -> None:
        self._is_wanted = is_wanted
        self._orders += 1
        self._attempts = 0
        if self._reader is not None:
            self._reader.halt()
        self._stream.changed.notify()

    def _begin_anew(self, text: str, *, from_first_frame: bool) -> None:
        """Begin a new epoch, unless nothing came in the present one."""
        tracker = self._stream.tracker
        if tracker.is_fresh:
            return
        tracker.end()
        tracker.begin_anew(opened_again=True, from_first_frame=from_first_frame)
        self._stream.epoch_began(text)

    # -- playing

    async def _play(self) -> bool:
        """Play once; returns whether the source came to its end."""
        stream = self._stream
        self._attempts += 1
        if self._was_lost:
            stream.is_tried_again(self._attempts)
        else:
            stream.set_status("starting", SourceFailure(attempt=self._attempts))
        loop = asyncio.get_running_loop()

        def on_state(status: SourceStatus) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended: nobody listens any more
                loop.call_soon_threadsafe(self._hear, reader, status)

        self._reader = reader = SourceReader(lambda: self._open(on_state), self._prepare, name=redact(stream.address))
        try:
            info = await reader.open()
            if info is None:
                return False
            self._opened(info, reader)
            await self._skip_finished(reader)
            while (picture := await self._next(reader)) is not None:
                self._count_last(reader)
                self._take(picture)
            return not reader.is_halted
        finally:
            self._count_last(reader)
            self._reader, self._told_last = None, 0
            await reader.close(_CLOSE_LIMIT_S)
            stream.passed_over(DropReason.UNPROCESSED, reader.waiting)
            for reason, frames in reader.undelivered.items():
                stream.passed_over(DropReason(reason), frames)
            self._warn(reader)

    def _open(self, on_state: OnState) -> Freshest | Prefetch:
        """Open the source with the flow that suits it; runs in the thread that reads."""
        stream = self._stream
        own_live = stream.section.live if stream.address == stream.section.source else None
        source = self._open_source(stream.address, own_live, on_state)
        flow = stream.section.flow
        is_freshest = source.info.live if flow == "auto" else flow == "freshest"
        return Freshest(source) if is_freshest else Prefetch(source)

    def _opened(self, info: SourceInfo, reader: SourceReader[Picture]) -> None:
        stream = self._stream
        stream.opened(info, reader.rate)
        self._begin_anew("the source was opened again", from_first_frame=not info.live)
        if info.live and self._is_resumed:
            # Its times begin anew and do not say which changes were made: prompts stay as the broker knows them.
            self._planned.clear()
            self._to_skip = 0
        self._is_resumed = False

    async def _skip_finished(self, reader: SourceReader[Picture]) -> None:
        """Pass over what earlier starts of the node finished; the last frames are history for those to come."""
        if not self._to_skip:
            return
        countdown, self._to_skip = _Countdown(self._to_skip), 0
        skipped = await reader.skip(countdown.goes_on_after, keep=max(1, self._stream.rules.window - 1))
        self._stream.tracker.skip(skipped)
        if skipped:
            self._planned.until(skipped[-1].frame.t)

    async def _next(self, reader: SourceReader[Picture]) -> Picture | None:
        """The next frame and room for it; None at the end."""
        tracker, changed = self._stream.tracker, self._stream.changed
        limit = self._stream.section.max_frames
        if limit is not None and self._taken >= limit:
            return None
        if not tracker.every_frame:  # the newest one when there is room, not the one that was when there was none
            await changed.until(lambda: tracker.has_room or reader.is_halted)
        picture = await reader.next()
        if picture is not None and tracker.every_frame and tracker.is_break(picture):
            # Frames of the old epoch may be on other paths than the first one of the new epoch, which would end them.
            tracker.end()
            changed.notify()
            await changed.until(lambda: tracker.unfinished == 0 or reader.is_halted)
        await changed.until(lambda: tracker.has_room or reader.is_halted)
        if reader.is_halted:
            self._stream.passed_over(DropReason.UNPROCESSED, int(picture is not None))
            return None
        return picture

    def _take(self, picture: Picture) -> None:
        stream, tracker = self._stream, self._stream.tracker
        if tracker.meet(picture):
            stream.epoch_began("the source began anew, or was lost for a while")
        self._change_prompts(picture.frame.t)
        missed = tracker.admit(picture)
        if not tracker.every_frame:  # of a source that is read whole they never were there, as a picture of a sequence
            stream.passed_over(DropReason.OVERTAKEN, missed)
        self._taken += 1
        self._attempts = 0
        stream.came(picture.sizes.source, picture.frame.complete_at)
        if self._was_lost and picture.frame.epoch == self._lost_epoch:
            return  # it had come before the loss
        if self._was_lost:
            self._was_lost = False
            stream.event(EventKind.SOURCE_REGAINED, epoch=tracker.epoch)
        stream.set_status("running")

    def _count_last(self, reader: SourceReader[Picture]) -> None:
        """Count the overtaken frames that the numbers of frames do not show."""
        new, self._told_last = reader.dropped_last - self._told_last, reader.dropped_last
        self._stream.passed_over(DropReason.OVERTAKEN, new)

    def _warn(self, reader: SourceReader[Picture]) -> None:
        """Tell what the source knows to be incomplete, each thing once."""
        name = redact(self._stream.address)
        for text in reader.warnings:
            if (warning := f"source {name}: {text}") not in self._warned:
                self._warned.add(warning)
                self._stream.event(EventKind.INPUT_WARNING, severity="warning", text=warning)

    def _change_prompts(self, t: float) -> None:
        """Make the changes that are planned for a time before this frame; one that changes nothing is left out."""
        stream = self._stream
        for change in self._planned.until(t):
            try:
                book = planned_book(change.prompts, stream.tracker.book, self._max_prompts)
            except ConfigError as error:
                text = f"prompts planned for {change.at_s:g} s are not taken: {error}"
                stream.event(EventKind.PROMPTS_CHANGED, severity="error", text=text)
                continue
            if book.sentences != stream.tracker.book.sentences:
                stream.set_book(book)

    # -- ends

    def _hear(self, reader: SourceReader[Picture], status: SourceStatus) -> None:
        """A source that recovers by itself says how it fares."""
        if reader is not self._reader or reader.is_halted:
            return
        failure = SourceFailure.of_status(status)
        match status.stage:
            case SourceStage.RECONNECTING:
                self._lose(failure, status.epoch)
            case SourceStage.STALLED:
                self._stream.set_status("stalled", failure)
            case SourceStage.CONNECTING if not self._was_lost:
                self._stream.set_status("starting", failure)

    def _lose(self, failure: SourceFailure, epoch: int | None = None) -> None:
        """The source is lost, but may come back: let what waits for its frames come out."""
        stream = self._stream
        if not self._was_lost:
            stream.event(EventKind.SOURCE_LOST, severity="warning", epoch=stream.tracker.epoch, text=failure.text)
        self._was_lost, self._lost_epoch = True, epoch
        stream.tracker.end()
        stream.set_status("lost", failure)

    async def _broke(self, error: Exception, orders: int) -> None:
        """The source is lost: try again if it may come back."""
        stream = self._stream
        if not stream.live:
            await self._fail(error, orders)
            return
        if orders != self._orders:
            return
        wait_s = backoff_s(self._attempts, _RETRY_S, _RETRY_MAX_S)
        self._lose(SourceFailure.of_error(error, self._attempts, wait_s))
        await stream.changed.until(lambda: self._orders != orders, wait_s)

    async def _fail(self, error: Exception, orders: int) -> None:
        """The source will not come back by itself."""
        failure, stream = SourceFailure.of_error(error, self._attempts), self._stream
        stream.event(EventKind.SOURCE_LOST, severity="error", epoch=stream.tracker.epoch, text=failure.text)
        if await self._drain(orders):
            stream.set_status("failed", failure)

    async def _end(self, orders: int) -> None:
        """The source has ended."""
        if await self._drain(orders):
            self._stream.event(EventKind.SOURCE_ENDED, epoch=self._stream.tracker.epoch)
            self._stream.set_status("ended")

    async def _drain(self, orders: int) -> bool:
        """Wait until all is finished; False if a request came before."""
        stream = self._stream
        stream.tracker.end()
        stream.changed.notify()
        await stream.changed.until(lambda: stream.tracker.unfinished == 0 or self._orders != orders)
        if self._orders != orders:
            return False
        self._is_wanted = False
        return True


class _Countdown:
    """Counts frames of a source, those that were overtaken included."""

    def __init__(self, count: int) -> None:
        self._left = count
        self._last: Frame | None = None

    def goes_on_after(self, frame: Frame) -> bool:
        """Whether the frame after this one is to be counted too."""
        last, self._last = self._last, frame
        is_next = last is not None and last.epoch == frame.epoch
        self._left -= frame.seq - last.seq if is_next and last is not None else frame.seq + 1
        return self._left > 0
