"""A live HLS playlist: what it says of itself, what was read of it already, and the pace of its pictures."""

import math
import statistics
import time
import zlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from enum import Enum
from fractions import Fraction
from typing import NamedTuple
from urllib.parse import urljoin

import av
from av.packet import Packet
from av.video.stream import VideoStream

from ssa_stream.sources.byte_stream import open_bytes
from ssa_stream.sources.hosts import NO_OTHER_HOSTS, Hosts
from ssa_stream.sources.nested import playlist_of

__all__ = ["Growth", "Playlist", "PlaylistMemory", "PlaylistReading", "fetch_playlist"]

_TARGET_S = 6.0
"""Length of a segment where the playlist could not be read: the usual one."""
_USUAL_SILENCE = 3
"""So many segments late, a playlist is not alive."""
_ROUNDING_S = 0.5
"""A segment may be longer than the playlist says by as much as rounding takes away."""
_FAR_BEHIND = 2.0
"""So many segments after the last one that came, the server has more than it gives. Lengths are not all the same."""
_DRIFT = 0.01
"""By so much of a segment for each one, the count of those that came may be wrong."""
_MOST_PACKETS = 20_000
_CATCH_UP = 1.05
"""A little faster than the camera: whoever falls behind gets to the newest picture again."""
_HURRY = 2.0
"""When behind by more than two segments."""

_Key = tuple[int | None, int, int]


class Growth(Enum):
    """Whether a playlist of which nothing comes any more goes on growing."""

    GROWS = "grows"
    STANDS = "stands"
    UNKNOWN = "unknown"


class Playlist(NamedTuple):
    """What a media playlist says.

    Attributes:
        target_s: Longest length of a segment in seconds.
        last_sequence: Number of its last segment; None if not known.
        is_finished: Whether no segment will be added.
        usual_s: Usual length of its segments in seconds; None if not known.
    """

    target_s: float = _TARGET_S
    last_sequence: int | None = None
    is_finished: bool = False
    usual_s: float | None = None

    @property
    def usual_silence_s(self) -> float:
        """Segments come at once, so between them it is silent for as long as one takes; two may be late."""
        return _USUAL_SILENCE * self.target_s

    @classmethod
    def parse(cls, text: str) -> "Playlist":
        """Read the text of a media playlist; lines that make no sense say nothing."""
        target_s, first, segments, is_finished = _TARGET_S, 0, 0, False
        lengths_s: list[float] = []
        for line in map(str.strip, text.splitlines()):
            name, _, value = line.partition(":")
            if name == "#EXT-X-TARGETDURATION":
                target_s = _number(value, target_s)
            elif name == "#EXT-X-MEDIA-SEQUENCE":
                first = int(_number(value, first))
            elif name == "#EXTINF":
                lengths_s.append(_number(value.partition(",")[0], target_s))
            elif line == "#EXT-X-ENDLIST":
                is_finished = True
            elif line and not line.startswith("#"):
                segments += 1
        usual_s = statistics.median(lengths_s) if lengths_s else None
        return cls(target_s, first + segments - 1 if segments else None, is_finished, usual_s)


def _number(text: str, otherwise: float) -> float:
    try:
        value = float(text)
    except ValueError:
        return otherwise
    return value if 0 <= value < math.inf else otherwise


def fetch_playlist(
    url: str, *, timeouts_s: tuple[float, float], options: Mapping[str, str], hosts: Hosts = NO_OTHER_HOSTS
) -> Playlist:
    """Read a playlist through FFmpeg, with its options, its log-in and its time-outs.

    Of a master playlist the first variant is read. What cannot be read is answered by the usual values: whoever opens
    the stream itself says what is wrong.

    Args:
        url: Of the playlist, credentials included.
        timeouts_s: Longest wait for opening and for one read.
        options: FFmpeg options of the protocol.
        hosts: To which other hosts it may lead.
    """

    def fetch(address: str) -> str:
        with open_bytes(
            address, asked=url, name="the playlist", hosts=hosts, options=options, timeouts_s=timeouts_s
        ) as stream:
            return (playlist_of(stream, address, sum(timeouts_s)) or b"").decode(errors="replace")

    try:
        text = fetch(url)
        if "#EXT-X-STREAM-INF" in text:
            text = fetch(urljoin(url, _first_variant(text)))
    except (av.FFmpegError, OSError, ValueError):
        return Playlist()
    return Playlist.parse(text)


def _first_variant(master: str) -> str:
    lines = [line.strip() for line in master.splitlines()]
    after = lines[next(at for at, line in enumerate(lines) if line.startswith("#EXT-X-STREAM-INF")) + 1 :]
    return next((line for line in after if line and not line.startswith("#")), "")


class PlaylistMemory:
    """The packets that the connections of one source read last, so that none is delivered twice.

    A server whose camera has died may go on serving its playlist. Then each connection begins with the last segment
    again. Only packets of the last segments are kept: an encoder that was started anew may send the very same bytes as
    at its last start.

    Attributes:
        was_live: Whether a connection was made while it had no end.
    """

    def __init__(self) -> None:
        self._ends: OrderedDict[_Key, float] = OrderedDict()  # when each was, in seconds of all that came
        self._came_s = 0.0
        self._last_sequence: int | None = None
        self.was_live = False

    def connected(self, playlist: Playlist) -> None:
        """A connection was made; a playlist that counts from an earlier number is that of a new start."""
        last, now = self._last_sequence, playlist.last_sequence
        if last is not None and now is not None and now < last:
            self._ends.clear()
        self._last_sequence = now
        self.was_live = True

    def has(self, key: _Key) -> bool:
        """Whether that packet came before."""
        return key in self._ends

    def add(self, key: _Key, length_s: float, reach_s: float) -> None:
        """A packet came.

        Args:
            key: What it is known by.
            length_s: Seconds of the stream since the one before it.
            reach_s: How far back to remember.
        """
        self._came_s += length_s
        self._ends[key] = self._came_s
        self._ends.move_to_end(key)
        while len(self._ends) > _MOST_PACKETS or next(iter(self._ends.values())) < self._came_s - reach_s:
            self._ends.popitem(last=False)


class PlaylistReading:
    """One connection to a live playlist: tells what was delivered before, and when each picture is due.

    Attributes:
        playlist: As it was when the connection was made.
        has_new: Whether anything came that no earlier connection has delivered.
        is_over: Whether it was live and has got its end before this connection was made.
    """

    def __init__(
        self,
        playlist: Playlist,
        memory: PlaylistMemory,
        *,
        start_segments: int = 1,
        fetch: Callable[[], Playlist] = Playlist,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin.

        Args:
            playlist: As it is now.
            memory: Shared by all connections of the source.
            start_segments: How many segments that are there already come first.
            fetch: Reads the playlist again.
            clock: Seconds on the clock of `time.monotonic`.
        """
        self.playlist = playlist
        self.has_new = False
        self.is_over = playlist.is_finished and memory.was_live
        self._memory = memory
        self._fetch = fetch
        self._clock = clock
        self._segment_s = playlist.target_s + _ROUNDING_S
        # What comes after so much was added since: the playlist grows, whatever it holds.
        self._start_segments = start_segments
        self._came_s = 0.0
        self._may_repeat_s = start_segments * self._segment_s
        self._reach_s = (start_segments + 1) * self._segment_s
        self._last_dts_s: float | None = None
        self._repeated: set[int | None] = set()
        self._pace = _Pace(self._segment_s)
        memory.connected(playlist)

    def has_ended(self) -> bool:
        """Ask whether no segment will be added to it any more."""
        return self.is_over or self._fetch().is_finished

    def growth(self) -> Growth:
        """Ask what the server says of it, after a silence."""
        now = self._fetch()
        first, last, usual_s = self.playlist.last_sequence, now.last_sequence, now.usual_s
        if first is None or last is None or not usual_s:
            return Growth.UNKNOWN
        segments = self._came_s / usual_s
        behind, drift = last - (first - self._start_segments + segments), _DRIFT * segments
        if behind >= _FAR_BEHIND + drift:
            return Growth.GROWS
        return Growth.STANDS if abs(behind) < _FAR_BEHIND and drift < _FAR_BEHIND else Growth.UNKNOWN

    def note(self, packet: "Packet[VideoStream]") -> None:
        """See a packet before it is decoded."""
        if packet.size == 0:
            return
        length_s = self._length_s(packet)
        self._may_repeat_s -= length_s
        self._came_s += length_s
        key = packet.pts, packet.size, zlib.crc32(memoryview(packet))
        if self._may_repeat_s > 0 and self._memory.has(key):
            self._repeated.add(packet.pts)
            return
        self.has_new = True
        self._repeated.discard(packet.pts)
        self._memory.add(key, length_s, self._reach_s)

    def is_repeated(self, pts: int | None) -> bool:
        """Whether the picture with that written time was delivered by an earlier connection."""
        return pts in self._repeated

    def due_in_s(self, pts: int | None, time_base: Fraction | None) -> float:
        """Return how long to wait before the next picture is delivered, in seconds.

        Segments come at once; their pictures are delivered at the pace at which they were taken.
        """
        if pts is None or time_base is None:
            return 0.0
        return self._pace.wait_s(float(pts * time_base), self._clock())

    def _length_s(self, packet: "Packet[VideoStream]") -> float:
        if packet.dts is None or packet.time_base is None:
            return 0.0
        last_s, self._last_dts_s = self._last_dts_s, float(packet.dts * packet.time_base)
        return 0.0 if last_s is None else min(max(0.0, self._last_dts_s - last_s), self._segment_s)


class _Pace:
    """When each picture is due, from its written time; a little faster than written, so that no delay stays."""

    def __init__(self, segment_s: float) -> None:
        self._segment_s = segment_s
        self._last: tuple[float, float] | None = None  # written time and when it was due
        self._begin_s = 0.0  # of written time on the clock

    def wait_s(self, written_s: float, now_s: float) -> float:
        """Return the wait for a picture with that written time."""
        step_s = 0.0 if self._last is None else written_s - self._last[0]
        if self._last is None or not 0 < step_s <= self._segment_s:  # the first one, or the stream has jumped
            self._begin_s, due_s = now_s - written_s, now_s
        else:
            is_behind = now_s - self._begin_s - written_s > 2 * self._segment_s
            due_s = max(now_s, self._last[1] + step_s / (_HURRY if is_behind else _CATCH_UP))
        self._last = written_s, due_s
        return due_s - now_s
