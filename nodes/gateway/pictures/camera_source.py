"""The camera of a browser, as the ingest node of its stream reads it."""

import contextlib
import socket
from collections.abc import Iterator
from fractions import Fraction

from ssa_stream.errors import ConfigError, MessageError, SourceError, SourceErrorCode
from ssa_stream.nodes.gateway.pictures.wire import REQUEST, LinkAddress, receive_picture
from ssa_stream.sources import Frame, Recovering, RecoveryPolicy, Source, SourceInfo, SourceOptions

__all__ = ["CameraLink", "open_camera_link"]

_NAME = "camera of a browser"
_CLOCK_RATE = Fraction(1, 90_000)
_CONNECT_S = 2.0
_QUIET_S = 3600.0
"""The gateway ends a link whose camera is gone, so a picture that does not come for long is only a quiet camera."""
# Looking for a camera costs next to nothing, so one that begins is seen at once.
_POLICY = RecoveryPolicy(
    first_frame_s=_QUIET_S, lost_s=_QUIET_S, retry_s=0.1, retry_max_s=0.25, slow_retry_s=0.25, slow_retry_max_s=0.25,
    patient_start=True,
)  # fmt: skip


def open_camera_link(address: str, options: SourceOptions) -> Source:
    """Open the camera of a stream, the source of scheme `webrtc`. It need not be there: cameras come and go.

    Raises:
        ConfigError: The graph runs without a gateway.
    """
    link = LinkAddress.parse(address)
    if link is None:
        raise ConfigError(
            f"source is {address!r}: a browser's camera needs a gateway; start the graph with: ssa-stream serve"
        )
    # Who sends next may be another camera: the masks of its first pictures must owe nothing to those of the last one.
    return Recovering(_NAME, lambda: CameraLink(*link), _POLICY, on_state=options.on_state, goes_on=False)


class CameraLink(Source):
    """Pictures of one camera, from when a browser sends until it stops.

    Args:
        stream: Whose camera.
        path: Socket of the gateway.
    Raises:
        SourceError: There is no gateway.
    """

    def __init__(self, stream: str, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(_CONNECT_S)
        try:
            self._socket.connect(path)
            self._socket.sendall(stream.encode().ljust(64))
            self._socket.settimeout(None)
        except OSError as error:
            self._socket.close()
            raise SourceError(
                f"the gateway is not there ({error.strerror or error})", SourceErrorCode.REFUSED
            ) from error

    @property
    def info(self) -> SourceInfo:
        """All that is known before the first picture."""
        return SourceInfo(_NAME, live=True)

    def frames(self) -> Iterator[Frame]:
        """Deliver pictures, always the newest one.

        Raises:
            SourceError: The camera stopped.
        """
        try:
            while True:
                self._socket.sendall(REQUEST)
                picture = receive_picture(self._socket)
                if picture is None:
                    break
                header, image = picture
                yield Frame(
                    image=image,
                    seq=header.seq,
                    epoch=header.epoch,
                    t=header.t,
                    t_receive_ns=header.t_receive_ns,
                    pts=header.pts,
                    time_base=None if header.pts is None else _CLOCK_RATE,
                    t_capture_ns=header.t_capture_ns,
                    t_camera_ns=header.t_camera_ns,
                    complete_at=header.complete_at,
                )
        except MessageError as error:
            raise SourceError(f"the gateway sent no picture: {error}", SourceErrorCode.UNREADABLE) from error
        except OSError:
            pass  # closed here, or the gateway has ended
        finally:
            self.close()
        raise SourceError("no browser sends its camera", SourceErrorCode.LOST)

    def close(self) -> None:
        """End the link; a read that waits ends at once."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
