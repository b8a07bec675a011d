"""What ends a process from outside: signals, and the end of its parent."""

import asyncio
import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

__all__ = ["ParentWatch", "end_with_parent", "stop_on_signals"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_PR_SET_PDEATHSIG = 1
_WATCH_S = 0.5
_GRACE_S = 3.0


@contextmanager
def stop_on_signals(stop: asyncio.Event) -> Iterator[None]:
    """While in force, SIGINT and SIGTERM set `stop`, however often they come: clean-up is never cut short by one."""
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, stop.set)
    try:
        yield
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


def end_with_parent() -> "ParentWatch":
    """See to it that this process does not outlive its parent.

    On Linux the kernel sends SIGTERM when the parent ends, so that sockets and shared memory are cleaned up. A process
    that does not end then, or on another system is not told, is ended by its own watch.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another libc: the watch is enough
            ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    watch = ParentWatch()
    threading.Thread(target=watch.run, name="parent watch", daemon=True).start()
    return watch


class ParentWatch:
    """Ends this process some time after its parent has ended.

    Args:
        parent: Tells the present parent's process id.
        end: What is done then; twice, if the first time is of no use.
        watch_s: Time between looks.
        grace_s: Time between asking to end and forcing it.
    """

    def __init__(
        self,
        parent: Callable[[], int] = os.getppid,
        end: Callable[[int], None] = lambda number: os.kill(os.getpid(), number),
        watch_s: float = _WATCH_S,
        grace_s: float = _GRACE_S,
    ) -> None:
        self._parent, self._end = parent, end
        self._watch_s, self._grace_s = watch_s, grace_s
        self._born_to = parent()

    def lives(self) -> bool:
        """Whether the parent is still there; it may be stopped."""
        return self._parent() == self._born_to

    def run(self) -> None:
        """Watch until the parent has changed; then ask this process to end, and later force it."""
        while self.lives():
            time.sleep(self._watch_s)
        self._end(signal.SIGTERM)
        time.sleep(self._grace_s)
        self._end(signal.SIGKILL)
