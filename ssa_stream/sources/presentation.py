"""When a decoded picture is to be shown, where the container does not say it."""

from collections import deque
from collections.abc import Callable, Mapping
from fractions import Fraction

from av import VideoFrame
from av.packet import Packet
from av.video.stream import VideoStream

__all__ = ["PresentationTimes", "holds_no_times", "nominal_rate", "writes_presentation_times"]

# These hold times of decoding only; what FFmpeg calls their presentation time is a guess, and wrong for B-frames.
_DECODING_TIMES_ONLY = frozenset({"avi", "asf", "asf_o"})
# Elementary streams: pictures without any time.
_NO_TIMES = frozenset(
    "apv avs2 avs3 cavsvideo dirac dnxhd evc h261 h263 h264 hevc m4v mjpeg mjpeg_2000 mpegvideo obu vc1 vvc".split()
)
_PICTURES = frozenset({"ico", "image2"})
# Where the header of a picture lies in two packets of a program stream, FFmpeg gives the time that is written there to
# a picture one or two places from it, and counts on from there up to the next written time.
_PROGRAM_STREAM = "mpeg"
_STRAY_INTERVALS = 2.5
_LONGEST_STRAY_S = 2
_PTS_LIMIT = 2**63
_DEFAULT_RATE = Fraction(25)


def holds_no_times(format_name: str) -> bool:
    """Whether a container of that format says nothing of time: an elementary stream, or one picture."""
    return format_name in _NO_TIMES or format_name in _PICTURES or format_name.endswith("_pipe")


def writes_presentation_times(format_name: str) -> bool:
    """Whether frames of a container of that format have times by which each can be told from the others."""
    return not holds_no_times(format_name) and format_name not in _DECODING_TIMES_ONLY | {_PROGRAM_STREAM}


def nominal_rate(format_name: str, stream: VideoStream) -> Fraction | None:
    """Frames per second of a stream as far as it says so; of an elementary stream what its codec says."""
    if format_name in _NO_TIMES:
        return stream.guessed_rate or stream.average_rate
    return stream.average_rate or stream.guessed_rate


class PresentationTimes:
    """Write the presentation time on frames that come without one, or with one that is a guess.

    Frames leave a decoder in the order of presentation, and the time of decoding grows from packet to packet. So the
    k-th frame out is shown at the k-th time of decoding. If a packet gives no frame, its time must not go to the next
    frame: a frame is presented at most `reorder_depth` places before the place of its own packet, and where counting
    falls behind that, it goes on from there.

    Elementary streams hold no time at all: the k-th place is k frame intervals after the start. In an MPEG program
    stream some pictures have a time; those between them are counted from the last one that has. A time there that is
    off by one or two intervals is that of a neighbour, unless it goes on for longer than FFmpeg can be wrong.
    """

    def __init__(
        self,
        format_name: str,
        rate_hz: Fraction | None,
        time_base: Fraction,
        reorder_depth: Callable[[], int],
        index: Mapping[int, int],
    ) -> None:
        """Start before the first packet.

        Args:
            format_name: FFmpeg's name of the demuxer.
            rate_hz: Frames per second; None takes 25, as FFmpeg does.
            time_base: Seconds per unit of the stream's times.
            reorder_depth: Says how many frames may be decoded before one that is presented earlier.
            index: Times of decoding by the place in the file, where the container has an index of all packets. After
                a damaged stretch FFmpeg's own count is behind that of an AVI.
        """
        self._distrusts_written = format_name in _DECODING_TIMES_ONLY
        self._is_untimed = holds_no_times(format_name)
        self._may_stray = format_name == _PROGRAM_STREAM
        self._index = index if self._distrusts_written else {}
        self._interval = 1 / (rate_hz or _DEFAULT_RATE) / time_base  # in units of the time base
        self._reset = 1 / time_base  # a time that is so much earlier begins a new count
        self._reorder_depth = reorder_depth
        self._position = Fraction(0)  # of the next packet, in frames
        self._first_place = 0
        self._decoding_times: deque[int | None] = deque()  # of the places from `_first_place` on
        self._last_place = -1
        self._anchor: tuple[int, int] | None = None  # place and time of the last frame whose time is written
        self._last: int | None = None  # time of the last frame
        self._is_partly_timed = False

    def sent(self, packet: "Packet[VideoStream]") -> None:
        """Take note of a packet that goes to the decoder; it carries its place to the frame made from it."""
        if not packet.size:
            return
        if packet.duration and abs(packet.duration - self._interval) > self._interval / 100:
            self._may_stray = False  # fields that are shown again, as films have on discs: nothing can be counted
        place = int(self._position)
        packet.opaque = place
        self._position += self._frames_in(packet)
        while self._first_place + len(self._decoding_times) <= place:
            self._decoding_times.append(self._index.get(packet.pos or 0, packet.dts))

    def mend(self, frame: VideoFrame) -> None:
        """Set the frame's `pts` where it has none, or one that is a guess. To be called for each frame in order."""
        place = self._next_place(frame)
        if frame.pts is not None and not self._distrusts_written and not self._is_echo(frame.pts):
            if self._is_stray(place, frame.pts):
                frame.pts = self._counted(place)
            else:
                self._anchor = place, frame.pts
            self._last = frame.pts
            return
        self._is_partly_timed = True
        pts = self._known_time(place)
        if self._is_untimed:
            pts = round(place * self._interval)
        elif self._anchor is not None:
            pts = self._counted(place)
        if pts is not None and abs(pts) < _PTS_LIMIT:
            frame.pts = self._last = pts

    def _is_echo(self, pts: int) -> bool:
        """Whether a time is one that FFmpeg gave to two pictures, as it does in a program stream."""
        is_early = self._last is not None and 0 <= self._last - pts < self._reset
        return is_early and self._is_partly_timed and self._anchor is not None

    def _is_stray(self, place: int, pts: int) -> bool:
        """Whether a time is that of another picture near by."""
        counted = self._counted(place)
        if counted is None or self._anchor is None or not self._may_stray:
            return False
        since_anchor = (place - self._anchor[0]) * self._interval
        is_near = 0.5 < abs(pts - counted) / self._interval < _STRAY_INTERVALS
        return is_near and since_anchor < _LONGEST_STRAY_S * self._reset

    def _counted(self, place: int) -> int | None:
        """The time of a place, counted from the last one that is known; None before the first of these."""
        if self._anchor is None:
            return None
        anchor_place, anchor = self._anchor
        return anchor + round((place - anchor_place) * self._interval)

    def _next_place(self, frame: VideoFrame) -> int:
        place = self._last_place + 1
        own = frame.opaque
        if isinstance(own, int):
            place = max(place, own - self._reorder_depth())
        self._last_place = place
        return place

    def _known_time(self, place: int) -> int | None:
        while self._decoding_times and self._first_place < place:
            self._decoding_times.popleft()
            self._first_place += 1
        return self._decoding_times[0] if self._decoding_times and self._first_place == place else None

    def _frames_in(self, packet: "Packet[VideoStream]") -> Fraction:
        """How many frames long it is: a half for one field of an interlaced picture, else 1, or more for a repeat."""
        if not self._is_untimed or not packet.duration:
            return Fraction(1)
        return Fraction(max(1, min(6, round(2 * packet.duration / self._interval))), 2)
