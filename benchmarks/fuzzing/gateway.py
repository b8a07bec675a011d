"""A gateway without a graph, and broken offers and requests for it.

Every answer must be one that the gateway means to give, it must come in time, nothing may be logged as unforeseen, and
a well-formed request afterwards must be answered.
"""

import asyncio
import logging
import random
import re
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import structlog
from structlog.testing import LogCapture

from benchmarks.fuzzing.trying import Attempt
from tests.support.gateway import SDP, Peer, gateway

__all__ = ["broken_offer", "broken_request", "http", "sdp"]

_ANSWER_S = 15.0
_SILENCE_S = 0.25
_FORESEEN = {201, 400, 401, 403, 404, 405, 408, 409, 413, 415, 417, 421, 429, 431, 503}
_TOKENS = (
    *(b"", b"0", b"-1", b"1", b"65535", b"65536", b"4294967296", b"9" * 400, b"1e309", b"nan", b"*", b"\0", b"%s%n"),
    *(
        b"a" * 3000,
        b"\xff\xfe",
        "\u202e".encode(),
        b"\x1b]0;x\x07",
        b"127.0.0.1",
        b"::1",
        b"udp",
        b"sendrecv",
        b"video",
    ),
    *(b"127.0.0.1:99999", b"sha-256 " + b"00:" * 31 + b"00", b"VP8/90000", b"H264/0", b"profile-level-id=ffffff"),
)
_LINES = (
    *(b"a=candidate:1 1 udp 1 127.0.0.1 9 typ host", b"a=candidate:1 1 tcp 1 127.0.0.1 0 typ relay raddr", b"a=mid:"),
    *(b"m=video 9 UDP/TLS/RTP/SAVPF", b"m=application 9 UDP/DTLS/SCTP webrtc-datachannel", b"m=audio 9 RTP/AVP 0"),
    *(b"a=group:BUNDLE", b"a=rtpmap:96", b"a=fmtp:96 x", b"a=ssrc:1 cname", b"a=extmap:99 x", b"a=setup:holdconn"),
    *(b"a=fingerprint:md5 00", b"a=ice-ufrag:", b"a=simulcast:send 1;2", b"a=rid:1 send", b"a=rtcp-fb:* nack", b"c=IN"),
    *(b"a=sctp-port:0", b"a=max-message-size:0", b"b=TIAS:-1", b"t=0", b"v=1", b"o=- 0 0 IN IP4", b"=", b"x"),
)
_ADDRESS = re.compile(rb"(?<![0-9.])(?!127\.)\d{1,3}(?:\.\d{1,3}){3}(?![0-9.])")


def broken_offer(source: random.Random, offer: bytes) -> bytes:
    """An offer with some lines changed, lost, doubled, moved or added. All addresses in it are of this machine."""
    lines = offer.split(b"\r\n")
    for _ in range(source.choice([1, 1, 2, 4, 12])):
        at = source.randrange(len(lines))
        match source.randrange(9):
            case 0:
                del lines[at : at + source.choice([1, 1, 3, 20])]
            case 1:
                lines.insert(at, lines[source.randrange(len(lines))])
            case 2:
                lines.insert(at, source.choice(_LINES))
            case 3:
                lines[at] = _with_token(source, lines[at])
            case 4:
                lines[at:at] = [lines[at]] * source.choice([2, 50, 400])
            case 5:
                source.shuffle(lines)
            case 6:
                lines[at] = _flipped(source, lines[at])
            case 7:
                lines = lines[:at]
            case _:
                lines[at] = lines[at][: source.randrange(len(lines[at]) + 1)]
        lines = lines or [b""]
    ending = source.choice([b"\r\n"] * 6 + [b"\n", b"\r", b"\0"])
    return _ADDRESS.sub(b"127.0.0.1", ending.join(lines))


_METHODS = (
    b"GET",
    b"POST",
    b"DELETE",
    b"PATCH",
    b"OPTIONS",
    b"HEAD",
    b"PUT",
    b"CONNECT",
    b"TRACE",
    b"PRI",
    b"\xff",
    b"",
)
_TARGETS = (
    *(
        b"/",
        b"/whip/cam",
        b"/whep/file",
        b"/whep/file?overlay=1",
        b"/sessions/x",
        b"/api/streams",
        b"/api/streams/file/prompts",
        b"/api/wall",
        b"/api/wall?after=1",
        b"/livez",
        b"/metrics",
    ),
    *(
        b"*",
        b"",
        b"/%00",
        b"/%ff",
        b"/../server.py",
        b"//x",
        b"http://x/",
        b"/\xff",
        b"/" + b"a" * 9000,
        b"/whip/%2e%2e",
    ),
    *(b"/?" + b"a=b&" * 2000, b"/sessions/" + b"%F0%9F%98%80" * 10, b"/app.js", b"/whip/\xc3\xa4", b"/whip/cam#x"),
)
_HEADERS = (
    *(
        b"Host: 127.0.0.1",
        b"Host: \xff",
        b"Host: a, b",
        b"Host:",
        b"Origin: null",
        b"Origin: \xe4\xf6",
        b"Origin: http://x",
    ),
    *(b"Authorization: Bearer \xff\xfe", b"Authorization: Bearer", b"Authorization: \xc3\xa4", b"Content-Length: -1"),
    *(b"Content-Length: 5", b"Content-Length: 99999999999999999999", b"Content-Length: 5, 5", b"Content-Length: +5"),
    *(b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: \x0bchunked"),
    *(b"Content-Type: application/sdp", b"Content-Type: application/sdp; charset=nonsense", b"Content-Type: \xff"),
    *(b"Content-Type: application/sdp; charset=utf-16", b"Content-Type: application/sdp; charset=rot13"),
    *(b"Content-Type: application/sdp; charset=base64", b"Content-Encoding: gzip", b"Content-Encoding: br"),
    *(b"Upgrade: websocket\r\nConnection: Upgrade", b"Upgrade: h2c", b"Connection: close", b"Connection: keep-alive"),
    *(b"Expect: 100-continue", b"Expect: nonsense", b"Range: bytes=0-", b"Range: bytes=9-1,x", b"If-None-Match: \xff"),
    *(b"If-Modified-Since: never", b"Cookie: " + b"a=b;" * 900, b"X: " + b"a" * 9000, b"X", b": x", b" folded: x"),
)
_BODIES = (b"", b"v=0", b"5\r\nhello\r\n0\r\n\r\n", b"ffffffffffffffff\r\n", b"-1\r\n", b"\xff" * 500, b"x" * 70_000)


def broken_request(source: random.Random) -> bytes:
    """A request that is malformed somewhere, or well-formed and hostile."""
    if source.random() < 0.1:
        return source.randbytes(source.choice([1, 10, 200, 3000]))
    version = source.choice([b"HTTP/1.1"] * 8 + [b"HTTP/1.0", b"HTTP/0.9", b"HTTP/2.0", b"HTTP/9.9", b"", b"\xff"])
    first = b" ".join([source.choice(_METHODS[:6]), source.choice(_TARGETS), version])
    if source.random() < 0.1:
        first = b" ".join([source.choice(_METHODS), source.choice(_TARGETS), version])
    headers = source.sample(_HEADERS, source.choice([0, 1, 2, 3, 6]))
    if source.random() < 0.7:
        headers.insert(0, b"Host: 127.0.0.1")
    if source.random() < 0.05:
        headers += [b"X-%d: y" % number for number in range(source.choice([100, 1000]))]
    ending = source.choice([b"\r\n"] * 9 + [b"\n"])
    request = ending.join([first, *headers, b"", b""]) + source.choice(_BODIES)
    if source.random() < 0.2:
        request = _flipped(source, request)
    return request * source.choice([1] * 9 + [3])


def _with_token(source: random.Random, line: bytes) -> bytes:
    words = re.split(rb"([ :/=;,]+)", line)
    words[source.randrange(len(words))] = source.choice(_TOKENS)
    return b"".join(words)


def _flipped(source: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(source.choice([1, 1, 2, 5])):
        at = source.randrange(len(changed) + 1)
        changed[at : at + source.choice([0, 1, 1, 4])] = source.randbytes(source.choice([0, 1, 1, 4]))
    return bytes(changed)


class _Gateway:
    """A gateway in a thread of its own, and what it logs as unforeseen."""

    def __init__(self, folder: Path) -> None:
        self.url = ""
        self._folder = folder
        self._is_up = threading.Event()
        self._stop = asyncio.Event()
        self._log = LogCapture()
        self._records: list[logging.LogRecord] = []
        structlog.configure(processors=[self._log])
        self._handler = _Kept(self._records)
        logging.getLogger().addHandler(self._handler)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def start(self) -> None:
        """Return once it answers."""
        self._thread.start()
        if not self._is_up.wait(_ANSWER_S):
            raise TimeoutError("the gateway did not start")

    def stop(self) -> None:
        """End it."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_ANSWER_S)
        logging.getLogger().removeHandler(self._handler)
        structlog.reset_defaults()

    def do(self, work: Coroutine[Any, Any, str]) -> str:
        """Do something in the gateway's loop; what was logged as unforeseen meanwhile is an error."""
        self._log.entries.clear()
        self._records.clear()
        outcome = asyncio.run_coroutine_threadsafe(work, self._loop).result(2 * _ANSWER_S)
        errors = [str(entry) for entry in self._log.entries if entry["log_level"] in ("error", "critical", "exception")]
        errors += [_text(record) for record in self._records]
        assert not errors, "\n".join(errors)
        return outcome

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with gateway(self._folder) as self.url:
            self._is_up.set()
            await self._stop.wait()


class _Kept(logging.Handler):
    """Keeps records of errors."""

    def __init__(self, records: list[logging.LogRecord]) -> None:
        super().__init__(logging.ERROR)
        self._records = records

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        self._records.append(record)


def _text(record: logging.LogRecord) -> str:
    return logging.Formatter().format(record)


@contextmanager
def _running(folder: Path) -> Iterator[_Gateway]:
    served = _Gateway(folder)
    served.start()
    try:
        yield served
    finally:
        served.stop()


@contextmanager
def sdp(folder: Path) -> Iterator[Attempt]:
    """Offers over WHIP and WHEP."""
    with _running(folder) as served:
        offers: list[bytes] = []

        async def prepare() -> str:
            peer = Peer()
            offers.append((await peer.offer()).encode())
            await peer.close()
            return "prepared"

        served.do(prepare())

        def attempt(seed: int) -> str:
            source = random.Random(seed)
            offer = broken_offer(source, offers[0])
            path = source.choice(["whip/cam", "whep/file", "whep/cam"])
            return served.do(_offer(served.url, path, offer))

        yield attempt


async def _offer(url: str, path: str, offer: bytes) -> str:
    timeout = aiohttp.ClientTimeout(total=_ANSWER_S)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        async with session.post(url + path, data=offer, headers=SDP) as response:
            text, status = await response.text(), response.status
        assert status in _FORESEEN, f"{status}: {text}"
        if status == 201:
            async with session.delete(url.rstrip("/") + response.headers["Location"]) as ended:
                assert ended.status in (200, 404), f"DELETE: {ended.status}"
            return "taken"
        assert 0 < len(text) < 3000, f"{status} with {len(text)} characters"
        return "refused"


@contextmanager
def http(folder: Path) -> Iterator[Attempt]:
    """Requests, as bytes on a connection."""
    with _running(folder) as served:

        def attempt(seed: int) -> str:
            return served.do(_request(served.url, broken_request(random.Random(seed))))

        yield attempt


async def _request(url: str, request: bytes) -> str:
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    answer = b""
    try:
        writer.write(request)
        async with asyncio.timeout(_SILENCE_S):
            while chunk := await reader.read(2**16):
                answer += chunk
    except (TimeoutError, ConnectionError):
        pass  # it waits for more of the request, or has hung up
    finally:
        writer.transport.abort()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_ANSWER_S)) as session:
        async with session.get(url) as response:
            assert response.status == 200, f"afterwards the page is {response.status}"
    statuses = [int(found) for found in re.findall(rb"HTTP/1\.[01] (\d{3}) ", answer)]
    wrong = [status for status in statuses if status not in _FORESEEN and status // 100 not in (1, 2, 3)]
    assert not wrong, f"{wrong} for {request[:2000]!r}"
    return _outcome(statuses)


def _outcome(statuses: list[int]) -> str:
    if not statuses:
        return "unanswered"
    return "refused" if statuses[0] >= 400 else "taken"
