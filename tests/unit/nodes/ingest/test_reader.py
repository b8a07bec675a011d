"""A blocking source read from an event loop: in order, and never at its mercy."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from ssa_stream.errors import ShapeError, SourceError
from ssa_stream.nodes.ingest.reader import SourceReader
from ssa_stream.sources import Frame, Freshest, Prefetch, Source
from tests.support.scripted_source import ScriptedSource, numbered_frames

DEADLINE_S = 10.0


@asynccontextmanager
async def _reading(
    opener: Callable[[], Source], prepare: Callable[[Frame], int] = lambda frame: frame.seq
) -> AsyncIterator[SourceReader[int]]:
    reader = SourceReader(lambda: Prefetch(opener()), prepare, name="scripted")
    try:
        async with asyncio.timeout(DEADLINE_S):
            yield reader
    finally:
        assert await reader.close(DEADLINE_S)


async def test_frames_come_in_order_until_the_end() -> None:
    """Then nothing comes, however often it is asked."""
    async with _reading(lambda: ScriptedSource([0, 1])) as reader:
        info = await reader.open()
        assert info is not None
        assert info.name == "scripted"
        assert [await reader.next() for _ in range(4)] == [0, 1, None, None]


async def test_work_on_a_frame_is_not_done_in_the_loop() -> None:
    """Resizing takes milliseconds."""
    threads: list[threading.Thread] = []

    def prepare(frame: Frame) -> int:
        threads.append(threading.current_thread())
        return frame.seq

    async with _reading(lambda: ScriptedSource([0]), prepare) as reader:
        await reader.open()
        await reader.next()
        assert threading.current_thread() not in threads


@pytest.mark.parametrize(
    ("error", "expected"),
    [(SourceError("lost"), SourceError), (ShapeError("no picture"), ShapeError), (KeyError("bug"), SourceError)],
    ids=["source", "shape", "plug-in"],
)
async def test_error_of_the_source_is_raised_where_it_is_waited_for(
    error: Exception, expected: type[Exception]
) -> None:
    """One that is none of ours becomes one."""
    async with _reading(lambda: ScriptedSource([0, error])) as reader:
        await reader.open()
        assert await reader.next() == 0
        with pytest.raises(expected):
            await reader.next()


async def test_source_that_does_not_open_raises() -> None:
    """With the name of what failed, if the error is none of ours."""

    def opener() -> Source:
        raise OSError("no driver")

    async with _reading(opener) as reader:
        with pytest.raises(SourceError, match="scripted failed: OSError: no driver"):
            await reader.open()


async def test_waiting_ends_at_once_when_the_source_is_told_to_close() -> None:
    """Long before it is closed."""
    async with _reading(lambda: ScriptedSource([0], block_at_end=True)) as reader:
        await reader.open()
        await reader.next()
        waiting = asyncio.create_task(reader.next())
        await asyncio.sleep(0)
        reader.halt()
        assert await waiting is None
        assert reader.is_halted
        assert await reader.next() is None


async def test_source_that_opens_after_it_was_told_to_close_is_closed() -> None:
    """Whoever opened it has long gone."""
    may_open, source = threading.Event(), ScriptedSource([0])

    def opener() -> Source:
        assert may_open.wait(DEADLINE_S)
        return source

    async with _reading(opener) as reader:
        opening = asyncio.create_task(reader.open())
        await asyncio.sleep(0)
        reader.halt()
        assert await opening is None
        may_open.set()
    assert source.closed.is_set()


async def test_close_does_not_wait_for_a_source_that_hangs() -> None:
    """It says so; the thread is a daemon and keeps no process alive."""
    may_end = threading.Event()

    def opener() -> Prefetch:
        assert may_end.wait(DEADLINE_S)
        return Prefetch(ScriptedSource([]))

    reader = SourceReader(opener, lambda frame: frame.seq, name="hangs")
    opening = asyncio.create_task(reader.open())
    await asyncio.sleep(0)
    assert not await reader.close(0.01)
    may_end.set()
    assert await opening is None
    assert await reader.close(DEADLINE_S)


async def test_skipped_frames_are_thrown_away_but_for_the_last_ones() -> None:
    """Only those are worked on."""
    worked: list[int] = []

    def prepare(frame: Frame) -> int:
        worked.append(frame.seq)
        return frame.seq

    async with _reading(lambda: ScriptedSource([*range(6)]), prepare) as reader:
        await reader.open()
        assert await reader.skip(lambda frame: frame.seq < 3, keep=2) == [2, 3]
        assert worked == [2, 3]
        assert await reader.next() == 4


async def test_skipping_past_the_end_gives_what_there_is() -> None:
    """The file may have become shorter."""
    async with _reading(lambda: ScriptedSource([0, 1])) as reader:
        await reader.open()
        assert await reader.skip(lambda frame: True, keep=8) == [0, 1]
        assert await reader.next() is None


async def test_newest_frame_of_a_live_source_is_taken_and_the_others_are_counted() -> None:
    """In the loop that takes them, as in the thread that reads."""
    all_came = threading.Event()
    frames = [*numbered_frames(0, 1), *numbered_frames(0, 1, 2, epoch=1)]
    reader = SourceReader(
        lambda: Freshest(ScriptedSource([*frames, all_came])), lambda frame: frame.seq, name="scripted"
    )
    await reader.open()
    assert all_came.wait(DEADLINE_S)  # its thread needs the loop for nothing
    assert [await reader.next(), await reader.next()] == [2, None]
    assert (reader.waiting, reader.dropped_last) == (0, 2)
    assert await reader.close(DEADLINE_S)


async def test_live_source_that_is_silent_for_too_long_is_stalled() -> None:
    """One that does not recover by itself says nothing."""
    source = ScriptedSource([0], block_at_end=True)
    reader = SourceReader(lambda: Freshest(source, stall_timeout_s=0.5), lambda frame: frame.seq, name="scripted")
    await reader.open()
    assert await reader.next() == 0
    with pytest.raises(SourceError, match=r"stalled: no frame for 0\.5 s"):
        await reader.next()
    assert await reader.close(DEADLINE_S)
    assert source.closed.is_set()
