"""An HLS server that makes its segments as time passes, and can die in the ways in which they die."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from io import BytesIO

import av

from tests.support.http_server import HttpRequest, http_server
from tests.support.video_files import HEIGHT, WIDTH, numbered_image

__all__ = ["HlsOrigin", "hls_origin"]

_FPS = 10


class HlsOrigin:
    """Serves a playlist of numbered pictures, ten a second.

    Args:
        segment_s: Length of a segment in seconds of the stream.
        window: Segments that the playlist names at once.
        speed: Seconds of the stream that are made in a second.

    Attributes:
        url: Of the playlist.
    """

    def __init__(self, segment_s: float, *, window: int = 4, speed: float = 1.0) -> None:
        self.url = ""
        self._segment_s, self._window, self._speed = segment_s, window, speed
        self._segments: list[bytes] = []
        self._first_number = 0
        self._guard = threading.Lock()
        self._stop = threading.Event()
        self._is_dead = threading.Event()
        self._is_finished = threading.Event()
        self._missing = range(0)
        self._thread = threading.Thread(target=self._work, daemon=True)

    @property
    def pictures(self) -> int:
        """How many pictures were published since the last start."""
        return len(self._segments) * round(self._segment_s * _FPS)

    def begin(self, segments_ready: int = 1) -> None:
        """Publish some segments at once, and from then on one after the other."""
        for _ in range(segments_ready):
            self._publish()
        self._thread.start()

    def die(self) -> None:
        """Publish no more; the playlist is served as it is."""
        self._is_dead.set()

    def lose_segments(self, count: int = 10**6) -> None:
        """Go on with the playlist, but answer 404 for so many segments from now on."""
        begin = len(self._segments)
        self._missing = range(begin, begin + count)

    def finish(self) -> None:
        """Publish no more, and say so in the playlist."""
        self._is_dead.set()
        self._is_finished.set()

    def restart(self, *, first_number: int = 0) -> None:
        """Begin anew from the first segment, with times from 0 and that number on its first picture."""
        with self._guard:
            self._segments, self._first_number = [], first_number
        self._publish()
        self._is_dead.clear()

    def end(self) -> None:
        """Stop the thread."""
        self._stop.set()
        self._thread.join()

    def answer(self, request: HttpRequest) -> None:
        """Answer one request."""
        with self._guard:
            segments = list(self._segments)
        if request.path.startswith("/live.m3u8"):
            request.send(200, self._playlist(len(segments)).encode(), "application/vnd.apple.mpegurl")
            return
        number = int(request.path.strip("/").removesuffix(".ts"))
        if number < len(segments) and number not in self._missing:
            request.send(200, segments[number], "video/mp2t")
        else:
            request.send(404, b"", "text/plain")

    def _playlist(self, count: int) -> str:
        first = max(0, count - self._window)
        target = -int(-self._segment_s // 1)
        lines = ["#EXTM3U", "#EXT-X-VERSION:3", f"#EXT-X-TARGETDURATION:{target}", f"#EXT-X-MEDIA-SEQUENCE:{first}"]
        for number in range(first, count):
            lines += [f"#EXTINF:{self._segment_s:.3f},", f"{number}.ts"]
        if self._is_finished.is_set():
            lines.append("#EXT-X-ENDLIST")
        return "\n".join(lines) + "\n"

    def _work(self) -> None:
        due_s = time.monotonic()
        while True:
            due_s += self._segment_s / self._speed
            if self._stop.wait(max(0.0, due_s - time.monotonic())):
                return
            if not self._is_dead.is_set():
                self._publish()

    def _publish(self) -> None:
        with self._guard:
            position = len(self._segments)
            count = round(self._segment_s * _FPS)
            self._segments.append(_segment(position * count, count, self._first_number))


def _segment(begin: int, count: int, first_number: int) -> bytes:
    """One MPEG-TS segment, whose times follow those of the segment before."""
    body = BytesIO()
    with av.open(body, "w", format="mpegts", options={"mpegts_copyts": "1"}) as container:
        stream = container.add_stream("libx264", rate=_FPS, options={"crf": "10", "tune": "zerolatency"})
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        for position in range(begin, begin + count):
            picture = numbered_image((first_number + position) % 4096)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = position, Fraction(1, _FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return body.getvalue()


@contextmanager
def hls_origin(
    segment_s: float, *, window: int = 4, speed: float = 1.0, segments_ready: int = 1
) -> Iterator[HlsOrigin]:
    """Run an origin on a free port of this machine."""
    origin = HlsOrigin(segment_s, window=window, speed=speed)
    with http_server(origin.answer) as url:
        origin.url = f"{url}/live.m3u8"
        origin.begin(segments_ready)
        try:
            yield origin
        finally:
            origin.end()
