"""The output of a stream that passes its pictures to a gateway, newest first, and never delays the graph."""

import contextlib
import select
import socket
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ssa_stream.errors import SinkError
from ssa_stream.nodes.gateway.pictures.wire import REQUEST, LinkAddress, PictureHeader, pack_header
from ssa_stream.sinks import FrameTimes, Sink, SinkFrame, SinkOptions
from ssa_stream.sinks.sink import pixel_aspect_of

if TYPE_CHECKING:
    from ssa_stream.streaming import MaskResult

__all__ = ["PictureSink", "open_picture_sink"]

_RETRY_S = 0.25
_POLL_S = 0.1
_SEND_S = 2.0


def open_picture_sink(spec: str, options: SinkOptions) -> Sink:
    """Open the output of scheme `webrtc`; the gateway need not be there.

    Raises:
        SinkError: Not an address of one.
    """
    link = LinkAddress.parse(spec)
    if link is None:
        raise SinkError(f"output is {spec!r}; expected webrtc:STREAM@SOCKET, which ssa-stream serve makes")
    return PictureSink(*link)


class PictureSink(Sink):
    """Sends the newest picture whenever the gateway asks for one.

    Args:
        stream: Whose pictures.
        path: Socket of the gateway.
    """

    def __init__(self, stream: str, path: str) -> None:
        self._stream, self._path = stream, path
        self._newest: SinkFrame | None = None
        self._changed = threading.Condition()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name=f"pictures of {stream}", daemon=True)
        self._thread.start()

    def write(self, frame: SinkFrame, results: Sequence["MaskResult"], times: FrameTimes | None = None) -> None:
        """Put the picture in place of the one that waits."""
        with self._changed:
            self._newest = frame
            self._changed.notify_all()

    def close(self) -> None:
        """End the link; may be called twice."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._thread.join(_SEND_S + _POLL_S)

    def _run(self) -> None:
        while not self._is_closed:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
                link.settimeout(_SEND_S)
                link.connect(self._path)
                self._serve(link)
            with self._changed:
                self._changed.wait_for(lambda: self._is_closed, _RETRY_S)

    def _serve(self, link: socket.socket) -> None:
        """Answer until the gateway goes away."""
        while not self._is_closed:
            if not select.select([link], [], [], _POLL_S)[0]:
                continue
            if link.recv(len(REQUEST)) != REQUEST:
                return
            frame = self._take()
            if frame is None:
                return
            image = np.ascontiguousarray(frame.image)
            header = PictureHeader(
                height=image.shape[0],
                width=image.shape[1],
                stream=self._stream,
                epoch=frame.epoch,
                seq=frame.seq,
                t=frame.t,
                t_receive_ns=time.monotonic_ns(),
                pixel_aspect=pixel_aspect_of(frame).as_integer_ratio(),
            )
            link.sendall(pack_header(header))
            link.sendall(image.data.cast("B"))

    def _take(self) -> SinkFrame | None:
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None or self._is_closed)
            frame, self._newest = self._newest, None
            return None if self._is_closed else frame
