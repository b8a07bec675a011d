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

__all__ = ["ParentWatch", "end_with_parent", "ending_signals", "pass_over_hangups", "stop_on_signals"]

_PR_SET_PDEATHSIG = 1
_WATCH_S = 0.5
_GRACE_S = 3.0


def ending_signals() -> tuple[signal.Signals, ...]:
    """Signals that ask to end in order: SIGINT, SIGTERM, and SIGHUP unless it is ignored, as `nohup` has it."""
    hangs_up = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
    return (signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hangs_up else []))


def pass_over_hangups() -> None:
    """From now on SIGHUP does nothing here: a closed terminal says so twice, and what is left to write is written.

    Programs that are started afterwards have the signal as it was.
    """
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)


@contextmanager
def stop_on_signals(stop: asyncio.Event) -> Iterator[None]:
    """While in force, signals that ask to end set `stop`, however often they come: clean-up is never cut short by one.

    If one came, SIGHUP does nothing afterwards, either; the others end the process.
    """
    loop, came, numbers = asyncio.get_running_loop(), False, ending_signals()

    def on_signal() -> None:
        nonlocal came
        came = True
        stop.set()

    for number in numbers:
        loop.add_signal_handler(number, on_signal)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
        if came:
            pass_over_hangups()


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
