"""File descriptors of a process: the limit, some that are kept back, and how a lack of them is told.

A peer that opens connections takes descriptors. Whoever starts processes or reads files meanwhile must expect that
there is none left, and try again: a lack of them passes.
"""

import errno
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from ssa_stream.nodes.pipeline import PipelineConfig

__all__ = [
    "DescriptorReserve",
    "FileLimits",
    "descriptors_of",
    "file_limits",
    "is_shortage",
    "raise_file_limit",
    "room_for_connections",
]

RESERVED = 16
"""As many as the start of a process takes, and some."""
_OF_THE_PROCESS = 48
_PER_STREAM, _PER_NODE = 12, 3
_LEAST_ROOM = 8
_SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE})
_T = TypeVar("_T")
FileLimits = tuple[int, int]
"""The limit that is in force, and the one up to which a process may raise it itself."""


def file_limits() -> FileLimits:
    """How many files this process may have open; a limit that is infinite is `sys.maxsize` or so."""
    soft, hard = (2**31 - 1 if limit == resource.RLIM_INFINITY else limit for limit in _limits())
    return soft, hard


def raise_file_limit() -> int:
    """Let this process, and those that it starts, open as many files as the system allows it.

    Returns:
        How many that are.
    """
    soft, hard = _limits()
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):
            pass  # macOS says infinite and does not mean it: the limit stays as it is
    return file_limits()[0]


def descriptors_of(config: PipelineConfig) -> int:
    """How many descriptors the launcher of a graph takes at most, connections of clients left out."""
    nodes = len(config.node_names) if config.placement == "processes" else 0
    return _OF_THE_PROCESS + RESERVED + _PER_STREAM * len(config.streams) + _PER_NODE * nodes


def room_for_connections(config: PipelineConfig, file_limit: int) -> int:
    """How many clients may be connected at once: as many as the pipeline says, if the limit has room for them.

    A quarter of the room is left for what else the process opens, such as its HTTP.
    """
    return max(_LEAST_ROOM, min(config.clients.connections, (file_limit - descriptors_of(config)) * 3 // 4))


def is_shortage(error: OSError) -> bool:
    """Whether an error says that there are no more descriptors, for this process or for all of them."""
    return error.errno in _SHORTAGES


class DescriptorReserve:
    """Descriptors that are held for nothing, so that they can be let go when there are no others.

    None are held before `fill` is called.

    Args:
        count: How many.
    """

    def __init__(self, count: int = RESERVED) -> None:
        self._count = count
        self._held: list[int] = []
        self._is_filled = False

    def fill(self) -> None:
        """Hold as many as can be had, from now on."""
        self._is_filled = True
        self._refill()

    def drop(self) -> None:
        """Let them go."""
        self._is_filled = False
        self._let_go()

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Let them go for the body, and take back afterwards as many as can be had. May be nested."""
        self._let_go()
        try:
            yield
        finally:
            self._refill()

    def spend(self, work: Callable[[], _T]) -> _T:
        """Do something that opens files; once more with the reserve if there was no descriptor for it.

        Raises:
            OSError: There was none even so, or something else is wrong.
        """
        try:
            return work()
        except OSError as error:
            if not is_shortage(error):
                raise
        with self.lent():
            return work()

    def _let_go(self) -> None:
        while self._held:
            os.close(self._held.pop())

    def _refill(self) -> None:
        while self._is_filled and len(self._held) < self._count:
            try:
                self._held.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
            except OSError:
                return  # the next time, perhaps


def _limits() -> tuple[int, int]:
    return resource.getrlimit(resource.RLIMIT_NOFILE)
