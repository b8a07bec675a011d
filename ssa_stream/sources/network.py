"""Live addresses: RTSP, UDP, SRT, RTMP, HTTP(S)."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from ssa_stream.sources.container import open_container
from ssa_stream.sources.live import LiveSource
from ssa_stream.sources.redaction import redact

__all__ = ["NetworkSource"]

_NO_FRAME_LIMIT_S = 10.0
# These formats carry no times of their own; FFmpeg counts frames at an invented rate.
_UNTIMED_FORMATS = frozenset({"mpjpeg", "mjpeg", "h264", "hevc", "m4v"})


class NetworkSource(LiveSource):
    """Read a live address."""

    def __init__(
        self, url: str, *, timeouts_s: tuple[float, float] = (5.0, 3.0), options: Mapping[str, str] | None = None
    ) -> None:
        """Connect.

        Args:
            url: The address, credentials included.
            timeouts_s: Longest wait for opening and for one read. FFmpeg may take about twice as long to notice.
            options: FFmpeg options of format and protocol, over the defaults of this class.
        Raises:
            SourceError: If there is no answer in time, no such stream, no right to it or no video in it.
        """
        name = redact(url)
        merged = {**_default_options(url, timeouts_s[1]), **(options or {})}
        container = open_container(url, name=name, timeouts_s=timeouts_s, options=merged)
        super().__init__(
            container,
            name,
            read_timeout_s=timeouts_s[1],
            no_frame_limit_s=max(_NO_FRAME_LIMIT_S, timeouts_s[1]),
            arrival_times=container.format.name in _UNTIMED_FORMATS,
        )


def _default_options(url: str, read_timeout_s: float) -> dict[str, str]:
    timeout_us = str(round(read_timeout_s * 1_000_000))
    match urlsplit(url).scheme.lower():
        case "rtsp" | "rtsps":
            # Little probing: the session description names the codec, and what is probed arrives late, in a burst.
            return {
                "rtsp_transport": "tcp",
                "timeout": timeout_us,
                "fflags": "nobuffer",
                "max_delay": "0",
                "analyzeduration": "100000",
                "probesize": "50000",
            }
        case "udp":
            return {"timeout": timeout_us, "fflags": "nobuffer", "overrun_nonfatal": "1"}
        case "http" | "https":
            return {"timeout": timeout_us, "fflags": "nobuffer"}
        case _:
            return {"fflags": "nobuffer"}
