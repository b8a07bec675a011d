"""Servers that never end what they send: memory stays bounded, and the error is clear."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ssa_stream.errors import SourceError, SourceErrorCode
from ssa_stream.sources import RecoveryPolicy, open_source
from tests.support.http_server import HttpRequest, http_server
from tests.support.multipart_camera import jpeg

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(60)]

_QUICK = RecoveryPolicy(connect_s=1.5, first_frame_s=1.5, stall_s=0.5, lost_s=1)
_PATIENT = RecoveryPolicy(connect_s=10, first_frame_s=10, stall_s=0.5, lost_s=1)
_MULTIPART = "multipart/x-mixed-replace; boundary=frame"
_PART = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: 10000000000\r\n\r\n"


@contextmanager
def _endless(status: str, content_type: str, begin: bytes, repeated: bytes) -> Iterator[str]:
    """Serve an answer that goes on until the client leaves, or the test ends; as slowly as a camera sends."""
    over = threading.Event()

    def answer(request: HttpRequest) -> None:
        head = f"HTTP/1.0 {status}\r\nContent-Type: {content_type}\r\n"
        with contextlib.suppress(OSError):
            request.wfile.write(head.encode() + begin)
            end_s = time.monotonic() + 20
            while time.monotonic() < end_s and not over.wait(0.001):
                request.wfile.write(repeated)

    with http_server(answer) as url:
        try:
            yield url
        finally:
            over.set()


_ANSWERS = {
    "playlist": ("200 OK", "application/vnd.apple.mpegurl", b"\r\n#EXTM3U\n", b"#EXTINF:1,\na.ts\n" * 5000),
    "picture": ("200 OK", "image/jpeg", b"\r\n" + jpeg(1)[:-2], b"\x11" * 10_000),
    "part of 10 GB": ("200 OK", _MULTIPART, b"\r\n" + _PART + jpeg(1), b"\x11" * 10_000),
    "head": ("200 OK", "image/jpeg", b"", b"X-A: " + b"b" * 1000 + b"\r\n"),
    "line of a head": ("200 OK", "image/jpeg", b"X-A: ", b"b" * 10_000),
    "head of a redirect": ("302 Found", "text/plain", b"Location: /b\r\n", b"X-A: " + b"b" * 1000 + b"\r\n"),
}


@pytest.mark.parametrize("name", _ANSWERS)
def test_endless_answer_is_given_up(name: str) -> None:
    """Within the time-outs, whatever is endless."""
    with _endless(*_ANSWERS[name]) as url:
        began_s = time.monotonic()
        with pytest.raises(SourceError, match=r"in time|no answer within|too long|longer than"):
            open_source(f"{url}/{'a.m3u8' if name == 'playlist' else 'a'}", recovery=_QUICK)
        assert time.monotonic() - began_s < 30


_VARIANT = "#EXT-X-STREAM-INF:BANDWIDTH=1\n"
_FINISHED = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n{}#EXT-X-ENDLIST\n"


def _next_name(path: str) -> str:
    """A list of variants whose only one has the number after that of the path."""
    return f"#EXTM3U\n{_VARIANT}a{int('0' + path.removeprefix('/a').removesuffix('.m3u8')) + 1}.m3u8\n"


# By the path, what a playlist says; how many requests may come at most; and what the error says.
_LEADS_NOWHERE: dict[str, tuple[Callable[[str], str], int, str]] = {
    "itself": (lambda _: f"#EXTM3U\n{_VARIANT}a.m3u8\n", 50, "in a circle"),
    "itself with others": (
        lambda _: "#EXTM3U\n" + f"{_VARIANT}a.m3u8\n" * 100,
        50,
        "in a circle",
    ),
    "each other": (
        lambda path: f"#EXTM3U\n{_VARIANT}{'b' if path == '/a.m3u8' else 'a'}.m3u8\n",
        50,
        "in a circle",
    ),
    "ever new names": (_next_name, 50, "in a circle"),
    "many variants": (
        lambda _: "#EXTM3U\n" + "".join(f"{_VARIANT}{n}.m3u8\n" for n in range(50_000)),
        50,
        "expected at most 500",
    ),
    "many sounds": (
        lambda _: "#EXTM3U\n" + '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="a",URI="b.m3u8"\n' * 20_000,
        50,
        "expected at most 500",
    ),
    "empty segments": (
        lambda path: "" if path.endswith(".ts") else _FINISHED.format("#EXTINF:1,\na.ts\n" * 100_000),
        2000,
        "in a row were empty",
    ),
    "empty segments with keys": (
        lambda path: (
            ("" if path.endswith(".ts") else "k" * 16)
            if not path.endswith(".m3u8")
            else _FINISHED.format(
                "".join(f'#EXT-X-KEY:METHOD=AES-128,URI="{n}.key"\n#EXTINF:1,\na.ts\n' for n in range(10_000))
            )
        ),
        2000,
        "in a row were empty|requests for playlists",
    ),
}


@pytest.mark.parametrize("name", _LEADS_NOWHERE)
def test_playlist_that_leads_nowhere_is_given_up(name: str) -> None:
    """After few requests, with one error that says what to do."""
    text_of, most, expected = _LEADS_NOWHERE[name]
    asked: list[str] = []

    def answer(request: HttpRequest) -> None:
        asked.append(request.path)
        request.send(200, text_of(request.path).encode(), "application/vnd.apple.mpegurl")

    with http_server(answer) as url:
        with pytest.raises(SourceError, match=expected) as caught:
            open_source(f"{url}/a.m3u8", recovery=_PATIENT)
        assert len(asked) <= most
    assert caught.value.code is SourceErrorCode.UNREADABLE


def test_slow_variants_are_given_up_in_the_time_for_connecting() -> None:
    """Each answer comes in time, and all together would take too long."""
    asked: list[str] = []

    def answer(request: HttpRequest) -> None:
        asked.append(request.path)
        if request.path == "/a.m3u8":
            body = "#EXTM3U\n" + "".join(f"{_VARIANT}{n}.m3u8\n" for n in range(400))
        else:
            time.sleep(0.05)
            body = _FINISHED.format("")
        request.send(200, body.encode(), "application/vnd.apple.mpegurl")

    with http_server(answer) as url:
        with pytest.raises(SourceError, match="no segment came within") as caught:
            open_source(f"{url}/a.m3u8", recovery=_QUICK)
        assert caught.value.code is SourceErrorCode.TIMEOUT
        assert len(asked) < 100


def _longest_lines(path: Path) -> None:
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n" + "a\n" * 1_000_000)


def _longest_file(path: Path) -> None:
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n" + "#" * 17_000_000)


@pytest.mark.parametrize("write", [_longest_lines, _longest_file], ids=["lines", "bytes"])
def test_playlist_file_that_is_too_long_is_refused(tmp_path: Path, write: Callable[[Path], None]) -> None:
    """Before its names are looked for."""
    write(tmp_path / "a.m3u8")
    with pytest.raises(SourceError, match="too long for a playlist"):
        open_source(tmp_path / "a.m3u8")
