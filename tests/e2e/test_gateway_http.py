"""WHIP and WHEP over HTTP, without a graph: what is answered, what is refused, and that nothing is left."""

import asyncio
import functools
import signal
import ssl
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest

from ssa_stream.errors import TransportError
from ssa_stream.nodes.gateway.pictures.camera_source import CameraLink
from ssa_stream.nodes.runtime.metrics import NodeMetrics
from ssa_stream.sources import Frame
from tests.support.certificates import certificate
from tests.support.checkout import ROOT
from tests.support.command_line import run_command
from tests.support.gateway import SDP, CameraTrack, Peer, count_peers, gateway, until_no_peers
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("warm_python", "no_idle_threads")]

GREY = np.full((48, 64, 3), 128, dtype=np.uint8)


async def _status(session: aiohttp.ClientSession, method: str, url: str, **request: Any) -> tuple[int, str]:
    async with session.request(method, url, **request) as response:
        return response.status, await response.text()


def _decoders() -> int:
    return sum(thread.name.endswith("-decoder") for thread in threading.enumerate())


async def test_page_is_served_and_may_load_nothing_from_elsewhere(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    """Every file of it, with its type."""
    async with gateway(tmp_path) as url:
        async with session.get(url) as response:
            assert response.status == 200
            assert response.content_type == "text/html"
            assert "default-src 'self'" in response.headers["Content-Security-Policy"]
            text = await response.text()
        assert "http://" not in text
        assert "https://" not in text
        for name in (
            "app.js",
            "connection.js",
            "drawing.js",
            "stage.js",
            "masks.js",
            "figures.js",
            "reconnect.js",
            "theme.css",
            "style.css",
            "favicon.ico",
        ):
            async with session.get(url + name) as response:
                assert (name, response.status) == (name, 200)
        assert (await _status(session, "GET", url + "__init__.py"))[0] == 404


async def test_offers_that_cannot_be_answered_are_refused(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    """Each with its own status and a sentence that helps; the gateway goes on."""
    async with gateway(tmp_path, limits={"offer_bytes": 5000}) as url:
        cases: list[tuple[str, str, dict[str, Any], int]] = [
            ("POST", "whip/cam", {"data": b"v=0", "headers": {"Content-Type": "text/plain"}}, 415),
            ("POST", "whip/cam", {"data": b"nonsense", "headers": SDP}, 400),
            ("POST", "whip/cam", {"data": b"", "headers": SDP}, 400),
            ("POST", "whip/cam", {"data": b"v=0\r\nm=video x y\r\n", "headers": SDP}, 400),
            ("POST", "whip/cam", {"data": b"x" * 6000, "headers": SDP}, 413),
            ("POST", "whip/none", {"data": b"v=0", "headers": SDP}, 404),
            ("POST", "whip/file", {"data": b"v=0", "headers": SDP}, 409),
            ("DELETE", "sessions/none", {}, 404),
            ("PATCH", "sessions/none", {}, 405),
            ("GET", "whip/cam", {}, 405),
        ]
        for method, path, request, expected in cases:
            status, text = await _status(session, method, url + path, **request)
            assert (path, request.get("data", b"")[:20], status) == (path, request.get("data", b"")[:20], expected)
            assert text.strip()
        assert await count_peers(url) == 0


async def test_offer_without_an_accepted_codec_is_told_which_are(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    """By both sides' names."""
    async with gateway(tmp_path) as url:
        peer = Peer(CameraTrack([GREY]))
        offer = (await peer.offer()).replace("VP8/", "VP9/").replace("H264/", "AV1/")
        status, text = await _status(session, "POST", url + "whip/cam", data=offer, headers=SDP)
        await peer.close()
    assert status == 400
    assert "the video codecs of the offer are VP9, AV1; accepted are VP8, H264" in text


_MEDIA = "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 VP8/90000\r\na=mid:0\r\n"


@pytest.mark.parametrize("offer", [_MEDIA, _MEDIA + "a=setup:holdconn\r\n", "v=0\r\nm=video x y\r\n", _MEDIA * 2])
async def test_offer_that_is_malformed_is_told_so_in_plain_words(
    tmp_path: Path, session: aiohttp.ClientSession, capsys: pytest.CaptureFixture[str], offer: str
) -> None:
    """What a library's inner parts say of it is in the log."""
    async with gateway(tmp_path) as url:
        status, text = await _status(session, "POST", url + "whep/cam", data=offer, headers=SDP)
    assert status == 400
    assert text.startswith("the offer is malformed and cannot be answered; expected a session description")
    assert not any(word in text for word in ("Error", "None", "'"))
    assert "an offer cannot be answered" in capsys.readouterr().out


async def test_offers_without_anything_to_send_say_so(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    """A camera needs video; a viewer video or a data channel."""
    async with gateway(tmp_path) as url:
        for path, expected in (("whip/cam", "expected a camera"), ("whep/cam", "neither video nor a data channel")):
            for offer in ("nonsense", "v=0\r\n"):
                status, text = await _status(session, "POST", url + path, data=offer, headers=SDP)
                assert (path, status, expected in text) == (path, 400, True)
        assert await count_peers(url) == 0


async def test_token_wrong_or_missing_is_refused(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    """The page itself holds no secrets and asks for the token."""
    async with gateway(tmp_path, token="secret") as url:
        assert (await _status(session, "GET", url))[0] == 200
        for path, method in (
            ("api/streams", "GET"),
            ("whip/cam", "POST"),
            ("whep/cam", "POST"),
            ("sessions/x", "DELETE"),
        ):
            status, _ = await _status(session, method, url + path, data=b"v=0", headers=SDP)
            assert (path, status) == (path, 401)
        right = {"Authorization": "Bearer secret"}
        assert (await _status(session, "GET", url + "api/streams", headers=right))[0] == 200


async def test_pages_of_other_origins_are_refused_unless_allowed(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    """Also a name that somebody lets point to this machine."""
    async with gateway(tmp_path, origins=("https://ui.example",)) as url:
        evil = {"Origin": "http://evil.example"}
        assert (await _status(session, "GET", url + "api/streams", headers=evil))[0] == 403
        assert (await _status(session, "POST", url + "whip/cam", data=b"v=0", headers={**SDP, **evil}))[0] == 403
        assert (await _status(session, "GET", url + "api/streams", headers={"Host": "evil.example"}))[0] == 421
        async with session.options(url + "whip/cam", headers={"Origin": "https://ui.example"}) as response:
            assert response.status == 204
            assert response.headers["Access-Control-Allow-Origin"] == "https://ui.example"
            assert response.headers["Accept-Post"] == "application/sdp"


async def test_camera_is_handed_over_ended_and_begun_again(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    """WHIP from the offer to DELETE; pictures come out at the other end; all is free for the next one."""
    async with gateway(tmp_path) as url:
        for _ in range(2):
            link = CameraLink("cam", str(tmp_path / "cameras.sock"))
            found: list[Frame] = []
            reading = asyncio.create_task(asyncio.to_thread(_read, link, found))
            peer = Peer(CameraTrack([GREY]))
            try:
                await peer.begin(session, url + "whip/cam")
                await until(functools.partial(_has, found, 5), "pictures of the camera")
                assert found[0].image.shape == GREY.shape
                assert abs(int(found[0].image.mean()) - 128) < 8
                assert [frame.t for frame in found] == sorted({frame.t for frame in found})
                second = Peer(CameraTrack([GREY]))
                status, text = await _status(session, "POST", url + "whip/cam", data=await second.offer(), headers=SDP)
                assert (status, "camera already" in text) == (409, True)
                await second.close()
                status, _ = await _status(session, "DELETE", url.rstrip("/") + peer.location)
                assert status == 200
                assert "no browser" in await reading
                await until_no_peers(url)
            finally:
                link.close()
                await peer.close()
        await until(lambda: _decoders() == 0, "decoders end")


def _has(found: list[Frame], count: int) -> bool:
    return len(found) >= count


def _read(link: CameraLink, found: list[Frame]) -> str:
    try:
        for frame in link.frames():
            found.append(frame)
    except OSError as error:
        return str(error)
    return ""


async def test_limits_end_sessions_and_say_why(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    """Too large a picture; too many peers; too long a session."""
    async with gateway(tmp_path, limits={"edge_px": 32, "peers": 1}) as url:
        peer = Peer(CameraTrack([GREY]))
        await peer.begin(session, url + "whip/cam")
        assert (await _status(session, "POST", url + "whep/cam", data=b"v=0", headers=SDP))[0] == 503
        await until_no_peers(url)
        end = next(one for one in peer.said if one["type"] == "end")
        assert ("64x48" in end["text"], end["code"]) == (True, "edge")
        await peer.close()
    async with gateway(tmp_path, limits={"session_s": 1.0}) as url:
        peer = Peer(CameraTrack([GREY]))
        await peer.begin(session, url + "whip/cam")
        await until_no_peers(url)
        await peer.close()


async def test_commands_beyond_limits_are_refused(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    """Size, rate, sense; without a graph the rest is told to be unavailable."""
    async with gateway(tmp_path, limits={"message_bytes": 200, "messages_per_s": 2}) as url:
        peer = Peer()
        await peer.begin(session, url + "whep/cam")
        assert (await peer.ask(type="list"))["code"] == "unavailable"
        peer.prompts.send("x" * 300)
        for _ in range(12):
            peer.prompts.send("{}")
        await until(lambda: {"too_large", "busy", "invalid"} <= {one.get("code") for one in peer.said}, "refusals")
        await peer.close()
        await until_no_peers(url)


async def test_offer_that_never_connects_is_forgotten(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    """Its place is free after a while."""
    async with gateway(tmp_path, limits={"connect_s": 1.0}) as url:
        peer = Peer(CameraTrack([GREY]))
        status, _ = await _status(session, "POST", url + "whip/cam", data=await peer.offer(), headers=SDP)
        assert status == 201
        assert await count_peers(url) == 1
        await until_no_peers(url)
        await peer.close()


async def test_offers_that_never_connect_take_half_of_the_places(
    tmp_path: Path, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one address; whoever comes from another one gets in, and who has connected counts no more."""
    counted: list[str] = []
    count = NodeMetrics.count

    def noted(self: NodeMetrics, name: str, *args: Any, **also: Any) -> None:
        counted.append(name)
        count(self, name, *args, **also)

    monkeypatch.setattr(NodeMetrics, "count", noted)
    silent = [Peer() for _ in range(2)]
    offer = await silent[0].offer()
    async with gateway(tmp_path, limits={"peers": 4}) as url:
        honest = Peer()
        await honest.begin(session, url + "whep/cam")
        answers = [await _status(session, "POST", url + "whep/cam", data=offer, headers=SDP) for _ in range(4)]
        assert [status for status, _ in answers] == [201, 201, 503, 503]
        assert "2 peers from your address have not connected yet" in answers[-1][1]
        assert counted.count("limit_connecting") == 2
        from_elsewhere = aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))
        async with aiohttp.ClientSession(connector=from_elsewhere) as other:
            await silent[1].begin(other, url + "whep/cam")
        for one in (honest, *silent):
            await one.close()


PUBLISHER = """
import asyncio, sys
import aiohttp, aioice.ice
import numpy as np
from tests.support.gateway import CameraTrack, Peer
aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]
async def main():
    async with aiohttp.ClientSession() as session:
        peer = Peer(CameraTrack([np.zeros((48, 64, 3), dtype=np.uint8)]))
        await peer.begin(session, sys.argv[1])
        print("connected", flush=True)
        await asyncio.sleep(600)
asyncio.run(main())
"""


async def test_killed_peer_frees_everything(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    """It says nothing any more, not even goodbye."""
    async with gateway(tmp_path, limits={"silence_s": 2.0}) as url:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", PUBLISHER, url + "whip/cam", cwd=ROOT, stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        assert await process.stdout.readline() == b"connected\n"
        assert await count_peers(url) == 1
        process.send_signal(signal.SIGKILL)
        await process.wait()
        await until_no_peers(url)
        await until(lambda: _decoders() == 0, "decoders end")


async def test_tls_is_served_with_the_certificate(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    """And the page's address says so."""
    cert, key = certificate(tmp_path)
    context = ssl.create_default_context(cafile=cert)
    async with gateway(tmp_path, tls_cert=str(cert), tls_key=str(key)) as url:
        assert url.startswith("https://127.0.0.1:")
        async with session.get(url + "api/streams", ssl=context) as response:
            assert response.status == 200
            names = [one["name"] for one in (await response.json())["streams"]]
        assert names == ["cam", "file"]


async def test_port_in_use_raises_with_what_to_do(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    """The second one ends with a sentence, and leaves the first one alone."""
    (tmp_path / "second").mkdir()
    async with gateway(tmp_path) as url:
        port = int(url.rstrip("/").rpartition(":")[2])
        with pytest.raises(BaseExceptionGroup) as raised:
            async with gateway(tmp_path / "second", port=port):
                pass
        assert raised.group_contains(TransportError, match="choose another --port")
        assert (await _status(session, "GET", url))[0] == 200


async def test_serve_open_to_a_network_is_refused(tmp_path: Path) -> None:
    """Before anything is loaded, with what is missing."""
    answer = await asyncio.to_thread(run_command, "serve", "--host", "0.0.0.0", cwd=tmp_path)
    assert answer.returncode == 2
    assert "--token-file" in answer.stderr
    assert "--insecure" in answer.stderr
