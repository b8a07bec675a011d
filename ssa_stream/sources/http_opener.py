"""What an HTTP address is, as its answer tells: a recording, a playlist, a picture to ask for, or a live stream."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import av
from av.container import InputContainer

from ssa_stream.addresses import Address
from ssa_stream.picture_limits import USUAL_LIMITS, PictureLimits
from ssa_stream.sources.container import NOT_VIDEO, open_container
from ssa_stream.sources.file import FileSource
from ssa_stream.sources.finished_playlist import FinishedPlaylist
from ssa_stream.sources.hosts import Hosts
from ssa_stream.sources.network import NetworkSource, network_options
from ssa_stream.sources.pacing import Realtime
from ssa_stream.sources.playlist import Playlist, PlaylistMemory, PlaylistReading, fetch_playlist
from ssa_stream.sources.silence import UsualSilence
from ssa_stream.sources.snapshots import SnapshotSource
from ssa_stream.sources.source import Source
from ssa_stream.sources.web import is_named_as_playlist

__all__ = ["HttpOpener"]

_INTERVAL_S = 1.0
# The last segment of a playlist has to do: the next one may be long in coming.
_LESS_PROBING = {"fpsprobesize": "3"}
_MULTIPART = "mpjpeg"
_PLAYLIST = "hls"
# What was opened is a description of the stream: the length of the answer is not the stream's.
_DESCRIPTIONS = frozenset({_PLAYLIST, "dash", "sdp"})
_NO_DASH = "this build of FFmpeg reads no DASH manifest: give the HLS or RTSP address of the same stream"
_ALWAYS_ENDS = frozenset({"gif", "apng"})
# FFmpeg looks at the end of these before it reads them: for the index or for the last time.
_READ_FROM_THE_END = ("mov", "mpegts")
_PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
_BEFORE_ANY = -(1 << 40)


@dataclass(frozen=True, slots=True)
class HttpOpener:
    """An HTTP address, and what its connections share.

    Attributes:
        address: The address, credentials included.
        timeouts_s: Longest wait for opening and for one read.
        no_frame_limit_s: Longest time without a picture while data comes.
        options: FFmpeg options of format and protocol, over the defaults for addresses.
        is_paced: Whether a recording is played at its own pace, as if it were live.
        limits: How large its pictures may be.
        memory: What earlier connections read of a live playlist.
        silence: How long the source is silent between frames.
    """

    address: Address
    timeouts_s: tuple[float, float]
    no_frame_limit_s: float
    options: Mapping[str, str]
    is_paced: bool = False
    limits: PictureLimits = USUAL_LIMITS
    memory: PlaylistMemory = field(default_factory=PlaylistMemory)
    silence: UsualSilence = field(default_factory=UsualSilence)

    @property
    def _hosts(self) -> Hosts:
        return Hosts(self.address.hosts)

    @property
    def _url(self) -> str:
        return self.address.target

    def open(self) -> Source:
        """Connect.

        Raises:
            SourceError: If there is no answer in time, no such stream, no right to it or no video in it.
        """
        playlist = self._playlist() if is_named_as_playlist(self._url) else None
        container = self._connect(playlist)
        is_playlist = container.format.name == _PLAYLIST
        is_live_still = is_playlist and (container.duration is None or self.memory.was_live)
        if is_live_still and playlist is None:
            playlist = self._playlist()
            if playlist.usual_silence_s > self.timeouts_s[1]:  # the time-outs of an open container are what they are
                container.close()
                container = self._connect(playlist)
        if _is_recording(container) and not is_live_still:
            if container.format.name.startswith(_READ_FROM_THE_END) and not _rewind(container):
                container = self._connect(playlist)
            length_s = container.duration / av.time_base if is_playlist and container.duration else None
            source: Source = FileSource(
                self._url,
                name=self.address.name,
                stream=self.address.stream,
                container=container,
                limits=self.limits,
                hwaccel=self.address.hwaccel,
            )
            if length_s is not None:
                source = FinishedPlaylist(source, length_s)
            return Realtime(source) if self.is_paced else source
        if container.format.name.endswith("_pipe"):
            return SnapshotSource(
                self._url,
                container,
                name=self.address.name,
                interval_s=self.address.interval_s or _INTERVAL_S,
                timeouts_s=self.timeouts_s,
                options=self._options(self.timeouts_s[1]),
                format_name=container.format.name if _is_named_as_picture(self._url) else None,
                limits=self.limits,
                hosts=self._hosts,
            )
        return NetworkSource(
            self._url,
            name=self.address.name,
            stream=self.address.stream,
            timeouts_s=self._timeouts_s(playlist),
            silence=self.silence,
            no_frame_limit_s=self.no_frame_limit_s,
            options=self.options,
            container=container,
            playlist=self._reading(playlist or Playlist(), container) if is_playlist else None,
            limits=self.limits,
            hwaccel=self.address.hwaccel,
        )

    def _connect(self, playlist: Playlist | None) -> InputContainer:
        timeouts_s = self._timeouts_s(playlist)
        # For a playlist the time-out of FFmpeg's own sockets stays: each request has an answer soon.
        options = self._options(timeouts_s[1] if playlist is None else self.timeouts_s[1])
        if playlist is not None and not playlist.is_finished:
            options = {**options, **_LESS_PROBING, **self.options}
        is_dash = urlsplit(self._url).path.lower().endswith(".mpd")
        return open_container(
            self._url,
            name=self.address.name,
            timeouts_s=timeouts_s,
            options=options,
            limits=self.limits,
            hosts=self._hosts,
            unreadable=_NO_DASH if is_dash else NOT_VIDEO,
        )

    def _options(self, read_timeout_s: float) -> dict[str, str]:
        return network_options(self._url, read_timeout_s, self.options)

    def _timeouts_s(self, playlist: Playlist | None) -> tuple[float, float]:
        connect_s, read_s = self.timeouts_s
        return connect_s, max(read_s, self.silence.limit_s if playlist is None else playlist.usual_silence_s)

    def _playlist(self) -> Playlist:
        options = self._options(self.timeouts_s[1])
        return fetch_playlist(self._url, timeouts_s=self.timeouts_s, options=options, hosts=self._hosts)

    def _reading(self, playlist: Playlist, container: InputContainer) -> PlaylistReading:
        # The container was opened at another moment, and is what will be read.
        playlist = playlist._replace(is_finished=container.duration is not None)
        start = self._options(self.timeouts_s[1])["live_start_index"]
        from_end = start.startswith("-") and start[1:].isdecimal()
        return PlaylistReading(
            playlist, self.memory, start_segments=int(start[1:]) if from_end else 1, fetch=self._playlist
        )


def _is_named_as_picture(url: str) -> bool:
    """Whether FFmpeg would take the address for a file of that name, and has to be told that it is one answer."""
    return urlsplit(url).path.lower().endswith(_PICTURES)


def _rewind(container: InputContainer) -> bool:
    """Go to the first packet of a recording that was just opened; returns whether the server can do that.

    After a look at the end FFmpeg asks for the start on the connection that it has. A server that closes each of them
    without saying so (`Connection: close`) leaves that without an answer, and what was asked for is passed over.
    """
    try:
        container.seek(_BEFORE_ANY)
        packets = container.demux(video=0)
        try:
            is_there = next(packets).size > 0
        finally:
            packets.close()  # type: ignore[attr-defined]  # a generator, typed as an iterator
        container.seek(_BEFORE_ANY)
    except (av.FFmpegError, StopIteration, IndexError):
        is_there = False
    if not is_there:
        container.close()
    return is_there


def _is_recording(container: InputContainer) -> bool:
    """Whether it has an end: its length is told by the container, by the playlist or by the server."""
    name = container.format.name
    if name == _MULTIPART or name.endswith("_pipe"):
        return False  # cameras say any length, or that of one picture
    if name in _ALWAYS_ENDS:
        return True
    has_duration = container.duration is not None and container.duration > 0
    return has_duration or (name not in _DESCRIPTIONS and container.size > 0)
