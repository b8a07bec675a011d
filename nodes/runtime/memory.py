"""Memory of what has ended goes back to the system: sessions, connections, windows."""

import asyncio
import ctypes
import gc
from collections.abc import Callable

__all__ = ["reclaim", "settle"]

TRIM_S = 60.0
"""From one time to the next that free pages are given back; it takes milliseconds. Without it, what glibc keeps free
between blocks grew from hour to hour in a graph whose blocks in use did not grow."""


def settle() -> None:
    """What lives now is taken to live as long as the process: the garbage collector does not look at it any more.

    For processes of ours, once they are ready. Modules and a network are hundreds of thousands of objects, and the
    collector looks through all objects only when their number has grown by a quarter. Until then what refers to itself
    in a circle stays, with all that it holds. It is not called before, which would take it a quarter of a second: of
    what a start leaves behind there are a few hundred objects, and these stay.

    Where an event loop runs, free pages of the allocator are given back every minute from now on, until it ends.
    """
    gc.freeze()
    reclaim()
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:  # nothing runs here that could come back to it
        return
    loop.call_later(TRIM_S, _trim_regularly, loop)


def reclaim() -> None:
    """Find what nobody can reach any more, and give the allocator's free pages back. Takes milliseconds after `settle`.

    Connections, codecs and their threads refer to each other, so only the collector finds them; and between blocks that
    are in use glibc keeps free pages, which each session would leave in other places.
    """
    gc.collect()
    _trim()


def _trim_regularly(loop: asyncio.AbstractEventLoop) -> None:
    _trim()
    loop.call_later(TRIM_S, _trim_regularly, loop)


def _allocator_trim() -> Callable[[], object]:
    """The `malloc_trim` of glibc; elsewhere nothing."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # musl, macOS, Windows: they give pages back by themselves or cannot
        return lambda: None
    trim.argtypes, trim.restype = [ctypes.c_size_t], ctypes.c_int
    return lambda: trim(0)


_trim = _allocator_trim()
