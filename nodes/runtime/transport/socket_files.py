"""Socket files that somebody removes in use: what is connected stays, and whoever comes later finds a new file."""

import time
from collections.abc import Callable
from pathlib import Path

import structlog
import zmq

from ssa_stream.nodes.runtime.logs import LogLimit

__all__ = ["KEEP_S", "SocketFile"]

KEEP_S = 1.0
"""Between two looks whether a file is still there."""
_IPC = "ipc://"
_LOG = structlog.get_logger()


class SocketFile:
    """The file of a ZeroMQ socket that is bound.

    Args:
        bind: Binds the socket to an address. That it is bound there already, to a file that is gone, does no harm; it
            costs a descriptor until the socket is closed.
        address: Of the socket; one that is no file needs no care.
    """

    def __init__(self, bind: Callable[[str], object], address: str) -> None:
        self._bind, self._address = bind, address
        self._path = Path(address.removeprefix(_IPC)) if address.startswith(_IPC) else None
        self._looked_s = time.monotonic()
        self._limit = LogLimit(every_s=60)

    def keep(self) -> None:
        """To be called often: bind again if the file is gone and its folder is there. Never raises."""
        now_s = time.monotonic()
        if self._path is None or now_s - self._looked_s < KEEP_S:
            return
        self._looked_s = now_s
        if self._path.exists() or not self._path.parent.is_dir():
            return
        try:
            self._bind(self._address)
        except zmq.ZMQError as error:
            if (left_out := self._limit.due("bind")) is not None:
                _LOG.error("socket cannot be bound again", path=str(self._path), error=str(error), left_out=left_out)
        else:
            _LOG.warning("socket file was removed; it is made again", path=str(self._path))
