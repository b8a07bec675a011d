"""Live addresses: RTSP, UDP, SRT, RTMP, HTTP(S)."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from av.container import InputContainer

from ssa_stream.addresses import redact
from ssa_stream.picture_limits import USUAL_LIMITS, PictureLimits
from ssa_stream.sources.container import open_container
from ssa_stream.sources.hosts import NO_OTHER_HOSTS, Hosts
from ssa_stream.sources.live import LiveSource
from ssa_stream.sources.playlist import PlaylistReading
from ssa_stream.sources.rtsp import WHOLE_CODECS, can_be_relayed, open_relayed
from ssa_stream.sources.silence import UsualSilence
from ssa_stream.sources.source import Completion

__all__ = ["NetworkSource", "network_options"]

# The container's head must be found and its codec seen; a second of it is enough.
_BOUNDED_PROBING = {"analyzeduration": "1000000", "probesize": "1000000"}
# A recording whose connection breaks is read on from where it broke, if the server can do that. Of a live playlist the
# last segment comes first.
_HTTP = {"reconnect": "1", "reconnect_delay_max": "1", "reconnect_max_retries": "2", "live_start_index": "-1"}
# These formats carry no times of their own; FFmpeg counts frames at an invented rate.
_UNTIMED_FORMATS = frozenset({"mpjpeg", "mjpeg", "h264", "hevc", "m4v"})


class NetworkSource(LiveSource):
    """Read a live address."""

    def __init__(
        self,
        url: str,
        *,
        name: str | None = None,
        stream: int | None = None,
        timeouts_s: tuple[float, float] = (5.0, 3.0),
        no_frame_limit_s: float = 12.0,
        options: Mapping[str, str] | None = None,
        container: InputContainer | None = None,
        playlist: PlaylistReading | None = None,
        silence: UsualSilence | None = None,
        limits: PictureLimits = USUAL_LIMITS,
        hosts: Hosts = NO_OTHER_HOSTS,
        trusts_markers: bool = False,
        hwaccel: str = "none",
    ) -> None:
        """Connect.

        Args:
            url: The address, credentials included.
            name: What to call it in messages; None takes the address without credentials.
            stream: Which of its video streams, from 0; None for the best one.
            timeouts_s: Longest wait for opening and for one read. FFmpeg may take about twice as long to notice.
            no_frame_limit_s: Longest time without a picture while data comes.
            options: FFmpeg options of format and protocol, over the defaults of this class.
            container: What that address is, opened already; None to open it here.
            playlist: See `LiveSource`.
            silence: See `LiveSource`.
            limits: See `LiveSource`.
            hosts: To which other hosts a web server may lead.
            trusts_markers: Whether an RTP marker counts as the end of an HEVC picture, when five in a row were right.
                Nothing proves it, as it is proved for H.264: the first wrong one tears a picture.
            hwaccel: See `LiveSource`.
        Raises:
            SourceError: If there is no answer in time, no such stream, no right to it or no video in it.
        """
        name = name or redact(url)
        merged = network_options(url, timeouts_s[1], options)
        self._is_rtsp = urlsplit(url).scheme.lower() in ("rtsp", "rtsps")
        relayed = None
        # A device tells of no picture that lacks its end, so what it decodes is not put together out of pieces.
        if container is None and hwaccel in ("auto", "none") and can_be_relayed(url, merged):
            relayed = open_relayed(
                url, name=name, timeouts_s=timeouts_s, options=merged, limits=limits, trusts_markers=trusts_markers
            )
            container = None if relayed is None else relayed.container
        self._relay = None if relayed is None else relayed.relay
        if container is None:
            container = open_container(
                url, name=name, timeouts_s=timeouts_s, options=merged, limits=limits, hosts=hosts
            )
        super().__init__(
            container,
            name,
            stream=stream,
            read_timeout_s=timeouts_s[1],
            no_frame_limit_s=no_frame_limit_s,
            arrival_times=container.format.name in _UNTIMED_FORMATS,
            drop_backlog=merged.get("analyzeduration") != "0",
            playlist=playlist,
            silence=silence,
            limits=limits,
            hwaccel=hwaccel if relayed is None else "none",
        )
        if self._relay is not None:
            self._reader.join_pieces(self._relay.secret)
        if self._reader.stream.codec_context.name == "mjpeg":
            # Each picture stands alone, so one with parts missing is no use to the next: it is an error, not concealed.
            self._reader.refuse_damage()

    @property
    def complete_at(self) -> Completion | None:
        """How the ends of pictures are found at present; known of RTSP, and None where its pictures come whole."""
        if not self._is_rtsp or self._reader.codec in WHOLE_CODECS:
            return None
        whole = self._reader.whole
        return "next_picture" if whole is None else whole.complete_at

    def close(self) -> None:
        """Disconnect; see `LiveSource.close`."""
        super().close()
        if self._relay is not None:
            self._relay.close()


def network_options(url: str, read_timeout_s: float, options: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return FFmpeg's options for an address: the defaults for its scheme, and over them those that are given."""
    merged = {**_default_options(url, read_timeout_s), **(options or {})}
    return {**_transport_options(merged), **merged}


def _default_options(url: str, read_timeout_s: float) -> dict[str, str]:
    timeout_us = str(round(read_timeout_s * 1_000_000))
    match urlsplit(url).scheme.lower():
        case "rtsp" | "rtsps":
            # No probing: the session description names the codec. Without "nobuffer" the packets that FFmpeg looks at
            # all the same are kept, and with them the key frame that many servers begin with.
            return {"rtsp_transport": "tcp", "timeout": timeout_us, "analyzeduration": "0", "probesize": "32"}
        case "udp":
            return {**_BOUNDED_PROBING, "timeout": timeout_us, "overrun_nonfatal": "1"}
        case "http" | "https":
            return {**_BOUNDED_PROBING, **_HTTP, "timeout": timeout_us}
        case _:
            return dict(_BOUNDED_PROBING)


def _transport_options(options: Mapping[str, str]) -> dict[str, str]:
    """What RTSP needs beyond its transport.

    Datagrams come in any order, and in bursts at a key frame. Each one that is lost holds up those behind it for
    `max_delay`, so the queue is short: with FFmpeg's 500 packets the delay would grow for as long as packets are lost.
    """
    match options.get("rtsp_transport"):
        case "tcp":
            return {"max_delay": "0"}
        case "udp":
            return {"max_delay": "50000", "reorder_queue_size": "32", "buffer_size": "2097152"}
        case _:
            return {}
