"""What strangers send to the gateway: bytes that are no text, HTTP that is none, offers that are meant for others."""

import asyncio
import contextlib
import functools
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiortc import RTCDataChannel

from ssa_stream.nodes.runtime.logs import LogLimit
from ssa_stream.nodes.runtime.metrics import NodeMetrics
from tests.support.gateway import SDP, Peer, gateway
from tests.support.strangers import exchange, gateway_process, status_of
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("warm_python", "media_on_loopback")]

_HOST = b"Host: 127.0.0.1\r\nConnection: close\r\n"
_TOKEN = b"Authorization: Bearer secret\r\n"


def _offer(headers: bytes = b"", body: bytes = b"v=0", content_type: bytes = b"application/sdp") -> bytes:
    head = b"POST /whip/cam HTTP/1.1\r\n%sContent-Type: %s\r\nContent-Length: %d\r\n%s\r\n"
    return head % (_HOST, content_type, len(body), headers) + body


ODD_BYTES = {
    "authorization": (b"GET /api/streams HTTP/1.1\r\n%sAuthorization: Bearer \xff\xfe\r\n\r\n" % _HOST, 401),
    "authorization_scheme": (b"GET /api/streams HTTP/1.1\r\n%sAuthorization: \xc3\r\n\r\n" % _HOST, 401),
    "host": (b"GET / HTTP/1.1\r\nHost: \xff\xfe\r\nConnection: close\r\n\r\n", 400),
    "host_letters": (b"GET / HTTP/1.1\r\nHost: m\xc3\xbcller\r\nConnection: close\r\n\r\n", 400),
    "host_none": (b"GET / HTTP/1.0\r\n\r\n", 400),
    "host_unclosed": (b"GET / HTTP/1.1\r\nHost: [::1\r\nConnection: close\r\n\r\n", 400),
    "host_port": (b"GET / HTTP/1.1\r\nHost: 127.0.0.1:99999999\r\nConnection: close\r\n\r\n", 400),
    "origin": (b"GET / HTTP/1.1\r\n%sOrigin: http://\xff\r\n\r\n" % _HOST, 400),
}
ODD_OFFERS = {
    "bytes": _offer(body=b"v=0\xff\xfe"),
    "charset": _offer(content_type=b"application/sdp; charset=nonsense"),
    "charset_of_two_bytes": _offer(content_type=b"application/sdp; charset=utf-16"),
    "charset_bytes": _offer(content_type=b'application/sdp; charset="\xff'),
    "compressed": _offer(b"Content-Encoding: gzip\r\n"),
    "no_number": _offer(body=b"v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:x VP8/1\r\n"),
    "no_codec": _offer(body=b"v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=fmtp:97 a=b\r\n"),
    "long_content_type": _offer(content_type=b"application/sdp" + b";" * 7000),
    "many_codecs": _offer(
        body=b"v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n" + b"a=rtpmap:96 x/9\r\n" * 1500 + b"a=rtcp-fb:* x\r\n" * 1500
    ),
    "many_sections": _offer(body=b"v=0\r\n" + b"m=video 9 UDP/TLS/RTP/SAVPF 96\r\n" * 400),
}
ODD_HTTP = {
    "bytes": b"\x00\xff\r\n\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "long_line": b"GET /%s HTTP/1.1\r\n%s\r\n" % (b"a" * 20_000, _HOST),
    "long_header": b"GET / HTTP/1.1\r\n%sX: %s\r\n\r\n" % (_HOST, b"a" * 20_000),
    "many_headers": b"GET / HTTP/1.1\r\n%s%s\r\n" % (_HOST, b"X: a\r\n" * 500),
    "two_lengths": b"POST /whip/cam HTTP/1.1\r\n%sContent-Length: 3\r\nContent-Length: 5\r\n\r\nv=0xx" % _HOST,
    "length_and_chunks": (
        b"POST /whip/cam HTTP/1.1\r\n%sContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" % _HOST
    ),
    "bad_chunk": (
        b"POST /whip/cam HTTP/1.1\r\n%sContent-Type: application/sdp\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n"
        % _HOST
    ),
    "url": b"GET /\xff HTTP/1.1\r\n%s\r\n" % _HOST,
}
HARMLESS = {
    "range": (b"GET / HTTP/1.1\r\n%sRange: bytes=0-0,1-1,-5\r\n\r\n" % _HOST, 200),
    "query": (
        b"GET /api/streams?%%ff=%%00&&==&a[]=%%zz HTTP/1.1\r\n%sAuthorization: Bearer secret\r\n\r\n" % _HOST,
        200,
    ),
    "websocket": (b"GET / HTTP/1.1\r\n%sUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n" % _HOST, 200),
    "trace": (b"TRACE / HTTP/1.1\r\n%s\r\n" % _HOST, 405),
    "session": (b"DELETE /sessions/%%2e%%2e%%2f HTTP/1.1\r\n%s%s\r\n" % (_HOST, _TOKEN), 404),
}


def test_odd_requests_are_refused_counted_and_told_in_few_lines(tmp_path: Path) -> None:
    """Each with its status, none with a traceback; the log grows by a line a second for each kind."""
    with gateway_process(tmp_path, token="secret") as served:
        wanted = {name: 400 for name in (*ODD_OFFERS, *ODD_HTTP)} | {"long_content_type": 415}
        requests = {name: sent.replace(b"Content-Type", _TOKEN + b"Content-Type") for name, sent in ODD_OFFERS.items()}
        for name, (sent, status) in (ODD_BYTES | HARMLESS).items():
            wanted[name], requests[name] = status, sent
        for name, sent in (requests | ODD_HTTP).items():
            for _ in range(3):
                assert (name, status_of(exchange(served.port, sent))) == (name, wanted[name])
        assert served.status() == 200
        assert "Traceback" not in served.log
        assert len(served.log) < 6000, served.log


async def test_counts_of_odd_requests_are_metrics(
    tmp_path: Path, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that a handler refused, and those that never came to one."""
    counted = _counting(monkeypatch)
    async with gateway(tmp_path) as url:
        port = int(url.rstrip("/").rpartition(":")[2])
        for sent in (ODD_HTTP["bytes"], ODD_HTTP["two_lengths"], ODD_OFFERS["bytes"], ODD_BYTES["host"][0]):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(sent)
            assert status_of(await reader.read()) == 400
            writer.close()
        async with session.get(url + "nothing") as response:
            assert response.status == 404
    assert counted["refused_400"] == 4
    assert counted["refused_404"] == 1


async def test_request_that_fails_unforeseen_is_answered_and_told_once_in_a_while(
    tmp_path: Path, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the traceback of the first one."""
    counted = _counting(monkeypatch)
    seldom = functools.partial(LogLimit, every_s=3600.0)
    monkeypatch.setattr("ssa_stream.nodes.runtime.http.server.LogLimit", seldom)
    async with gateway(tmp_path) as url:
        monkeypatch.setattr("ssa_stream.nodes.gateway.streams.StreamHandler.describe", lambda self: 1 / 0)
        for _ in range(20):
            async with session.get(url + "api/streams") as response:
                assert response.status == 500
    assert counted["refused_500"] == 20
    assert capsys.readouterr().out.count("a request failed") == 1


def _counting(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """What the gateway counts from now on, by name."""
    counted: dict[str, int] = {}
    before = NodeMetrics.count

    def count(self: NodeMetrics, name: str, *args: Any, **kwargs: Any) -> None:
        counted[name] = counted.get(name, 0) + (args[0] if args else kwargs.get("by", 1))
        before(self, name, *args, **kwargs)

    monkeypatch.setattr(NodeMetrics, "count", count)
    return counted


# -- candidates


@contextmanager
def _bystanders(number: int) -> Iterator[list[socket.socket]]:
    """Sockets of others, each at an address of its own."""
    with contextlib.ExitStack() as stack:
        found = []
        for index in range(number):
            one = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            one.bind((f"127.0.9.{index + 1}", 0))
            one.setblocking(False)
            found.append(one)
        yield found


def _came(one: socket.socket) -> int:
    """How many datagrams came to it."""
    count = 0
    with contextlib.suppress(BlockingIOError):
        while one.recv(2048):
            count += 1
    return count


def _aimed_at(offer: str, places: list[tuple[str, int]]) -> str:
    """An offer with the candidates of others before its own."""
    foreign = "".join(
        f"a=candidate:{index} 1 udp {2_000_000_000 - index} {host} {port} typ host\r\n"
        for index, (host, port) in enumerate(places)
    )
    return offer.replace("a=candidate:", foreign + "a=candidate:", 1)


async def test_offer_aimed_at_many_others_sends_them_little(
    tmp_path: Path, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many candidates it has; the rest is counted. The peer never comes, so all checks go to others."""
    counted = _counting(monkeypatch)
    peer = Peer()
    offer = await peer.offer()
    await peer.close()
    with _bystanders(200) as others:
        places = [one.getsockname() for one in others]
        async with gateway(tmp_path, limits={"connect_s": 4.0}) as url:
            for _ in range(3):
                async with session.post(url + "whep/cam", data=_aimed_at(offer, places), headers=SDP) as response:
                    assert response.status == 201, await response.text()
            await until(lambda: counted.get("limit_connect", 0) == 3, "the sessions end")
        datagrams = [_came(one) for one in others]
    assert 0 < sum(datagrams) <= 150
    assert sum(number > 0 for number in datagrams) <= 16
    assert counted["candidates_refused"] >= 3 * 184


async def test_honest_peer_is_found_behind_many_foreign_candidates(
    tmp_path: Path, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own candidates are beyond the limit: it is found by the datagrams that come from it."""
    peer = Peer()
    whole = peer.offer
    with _bystanders(40) as others:
        places = [one.getsockname() for one in others]

        async def aimed() -> str:
            return _aimed_at(await whole(), places)

        monkeypatch.setattr(peer, "offer", aimed)
        async with gateway(tmp_path, limits={"candidates": 8, "checks": 8}) as url:
            await peer.begin(session, url + "whep/file")
            assert (await peer.ask(type="list"))["type"] == "error"  # there is no graph; what matters is the answer
            await peer.close()


# -- data channels


async def _send_raw(channel: RTCDataChannel, data: bytes, *, is_text: bool) -> None:
    """Send what `send` would not: text that is none."""
    transport: Any = channel.transport
    transport._data_channel_queue.append((channel, 51 if is_text else 53, data))
    await transport._data_channel_flush()


async def _answered(peer: Peer, text: str) -> None:
    """Send a text and wait until something is said."""
    before = len(peer.said)
    peer.prompts.send(text)
    await until(lambda: len(peer.said) > before, f"an answer to {text[:40]}")


async def test_messages_that_cannot_be_read_end_no_session(
    tmp_path: Path, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Text that is no UTF-8 is passed over and counted; commands that are none are answered with an error."""
    counted = _counting(monkeypatch)
    peer = Peer()
    async with gateway(tmp_path) as url:
        await peer.begin(session, url + "whep/file")
        await _send_raw(peer.prompts, b"\xff\xfe\x80", is_text=True)
        for nonsense in (
            f'{{"type":"list","id":{10**400}}}',
            '{"type":"list","id":1e400}',
            '{"type":"add","x":' + "[" * 5000,
            '{"type":"add","text":"\\ud800"}',
            "\0",
        ):
            await _answered(peer, nonsense)
            assert (peer.said[-1]["type"], peer.said[-1]["code"]) == ("error", "invalid")
        await _send_raw(peer.prompts, b'{"type":"add","text":"\xff"}', is_text=False)
        assert (await peer.ask(type="list"))["code"] == "unavailable"
        assert peer.connection.connectionState == "connected"
        await peer.close()
    assert counted["messages_unreadable"] == 1
