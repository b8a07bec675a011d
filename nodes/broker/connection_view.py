"""A look at connections that libzmq holds, through their descriptors, and the means to end them."""

import contextlib
import os
import socket as sockets
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["ConnectionView", "Ends"]

Ends = tuple[object, object]
"""The address here and that of the other side; two connections at one time never have the same."""
_TCP_INFO_BYTES = 136
_BYTES_RECEIVED = slice(128, 136)


class ConnectionView:
    """Looks at a connection without taking another descriptor, and without taking one for another.

    The descriptor is libzmq's, which closes it when it likes; its number then stands for something else. Here it is
    copied onto a number that is kept for that. What the copy says stays true.
    """

    def __init__(self) -> None:
        self._nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._copy = os.dup(self._nothing)

    @contextmanager
    def _of(self, descriptor: int) -> Iterator[sockets.socket | None]:
        """The connection; None if the descriptor is none of a socket any more."""
        seen = None
        try:
            os.dup2(descriptor, self._copy, inheritable=False)
            seen = sockets.socket(fileno=self._copy)
        except OSError:
            pass  # it is closed, or something else
        try:
            yield seen
        finally:
            if seen is not None:
                seen.detach()
            os.dup2(self._nothing, self._copy, inheritable=False)

    def ends(self, descriptor: int) -> Ends | None:
        """The addresses at both ends; None if it is no connection any more."""
        with self._of(descriptor) as seen:
            return None if seen is None else _ends(seen)

    def received(self, descriptor: int, ends: Ends | None) -> int:
        """Bytes that the other side has sent; 0 where the system does not say, or if it is another connection now."""
        with self._of(descriptor) as seen:
            return _bytes_received(seen) if seen is not None and _ends(seen) == ends else 0

    def shut(self, descriptor: int, ends: Ends | None) -> None:
        """Shut a connection down, unless it is another one now."""
        with self._of(descriptor) as seen:
            if seen is not None and ends is not None and _ends(seen) == ends:
                with contextlib.suppress(OSError):  # the other side was quicker
                    seen.shutdown(sockets.SHUT_RDWR)

    def has_spare(self) -> bool:
        """Whether another descriptor can be had."""
        try:
            os.close(os.dup(self._nothing))
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Give both up; may be called again."""
        for descriptor in (self._nothing, self._copy):
            if descriptor >= 0:
                os.close(descriptor)
        self._nothing = self._copy = -1


def _ends(seen: sockets.socket) -> Ends | None:
    try:
        return seen.getsockname(), seen.getpeername()
    except OSError:
        return None


def _bytes_received(seen: sockets.socket) -> int:
    """How much has come on a connection; 0 where the system does not say."""
    if sys.platform != "linux":
        return 0
    try:
        info = seen.getsockopt(sockets.IPPROTO_TCP, sockets.TCP_INFO, _TCP_INFO_BYTES)
    except OSError:
        return 0
    return int.from_bytes(info[_BYTES_RECEIVED], "little") if len(info) == _TCP_INFO_BYTES else 0
