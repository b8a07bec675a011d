"""What ends a process from outside."""

import asyncio
import os
import signal

from ssa_stream.nodes.runtime.signals import ParentWatch, stop_on_signals


async def test_signals_set_stop_while_in_force() -> None:
    """Also the second one only asks; afterwards a signal ends the process as by default."""
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)  # coverage.py has a handler of its own
    try:
        stop = asyncio.Event()
        with stop_on_signals(stop):
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
                stop.clear()
                os.kill(os.getpid(), number)
                async with asyncio.timeout(20):
                    await stop.wait()
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)


def test_parent_watch_asks_then_forces() -> None:
    """Only once the parent is another one."""
    parents = iter([100, 100, 100, 1])
    ended: list[int] = []
    ParentWatch(lambda: next(parents), ended.append, watch_s=0, grace_s=0).run()
    assert ended == [signal.SIGTERM, signal.SIGKILL]
    assert next(parents, None) is None
