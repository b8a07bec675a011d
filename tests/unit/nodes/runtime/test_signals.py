"""What ends a process from outside."""

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest

from ssa_stream.nodes.runtime.signals import ParentWatch, ending_signals, stop_on_signals


@pytest.fixture(autouse=True)
def _own_hangup() -> Iterator[None]:
    """Whatever this process was started with, SIGHUP has its default meaning in a test."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


async def test_signals_set_stop_while_in_force() -> None:
    """Also the second one only asks; afterwards a signal ends the process as by default."""
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)  # coverage.py has a handler of its own
    try:
        stop = asyncio.Event()
        with stop_on_signals(stop):
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
                stop.clear()
                os.kill(os.getpid(), number)
                async with asyncio.timeout(20):
                    await stop.wait()
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)


async def test_second_hangup_after_the_end_does_nothing() -> None:
    """The shell sends one, too, when its terminal is closed; reports are still to be written then."""
    stop = asyncio.Event()
    with stop_on_signals(stop):
        os.kill(os.getpid(), signal.SIGHUP)
        async with asyncio.timeout(20):
            await stop.wait()
    os.kill(os.getpid(), signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN  # programs started later get the default


async def test_hangup_that_is_ignored_at_the_start_stays_ignored() -> None:
    """As nohup has it."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    assert signal.SIGHUP not in ending_signals()
    stop = asyncio.Event()
    with stop_on_signals(stop):
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(20):
            await stop.wait()
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_parent_watch_asks_then_forces() -> None:
    """Only once the parent is another one."""
    parents = iter([100, 100, 100, 1])
    ended: list[int] = []
    ParentWatch(lambda: next(parents), ended.append, watch_s=0, grace_s=0).run()
    assert ended == [signal.SIGTERM, signal.SIGKILL]
    assert next(parents, None) is None
