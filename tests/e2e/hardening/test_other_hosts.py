"""A server, or a playlist, that leads to another host: not a single request arrives there, unless it is allowed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count, islice
from pathlib import Path
from threading import Thread
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from ssa_stream.errors import SourceError, SourceErrorCode
from ssa_stream.sources import RecoveryPolicy, open_source
from ssa_stream.sources.source import warnings_of
from tests.support.command_line import run_command, write_tiny_config
from tests.support.http_server import HttpRequest, http_server
from tests.support.multipart_camera import jpeg, multipart_camera
from tests.support.scripted_camera import Packetizer, encode_pictures, scripted_camera
from tests.support.video_files import write_video

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(60)]

_COUNT = 20
_QUICK = RecoveryPolicy(connect_s=3, first_frame_s=3, stall_s=0.5, lost_s=1, give_up_after_s=2)
_VOD = {"hls_time": "1", "hls_list_size": "0", "hls_playlist_type": "vod"}
_MASTER = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=100000\nall.m3u8\n"
_WITH_SOUND = (
    '#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="a",DEFAULT=YES,URI="all.m3u8"\n'
    '#EXT-X-STREAM-INF:BANDWIDTH=100000,AUDIO="a"\nall.m3u8\n'
)


class _Case(NamedTuple):
    """What is asked for, and what of it is on another host.

    Attributes:
        path: What is asked for.
        moved: Where one of these paths is asked for, the answer is a redirect.
        named: Playlists name these files with the whole address of the other host.
    """

    path: str
    moved: tuple[str, ...] = ()
    named: tuple[str, ...] = ()


_CASES = {
    "picture": _Case("/snap.jpg", moved=("/snap.jpg",)),
    "picture without a name": _Case("/snap", moved=("/snap",)),
    "file": _Case("/a.mp4", moved=("/a.mp4",)),
    "multipart camera": _Case("/video", moved=("/video",)),
    "playlist": _Case("/plain/all.m3u8", moved=("/plain/all.m3u8",)),
    "playlist without a name": _Case("/plain/all", moved=("/plain/all",)),
    "segment by a redirect": _Case("/plain/all.m3u8", moved=("/plain/all0.ts", "/plain/all1.ts")),
    "segment by its name": _Case("/plain/all.m3u8", named=("all0.ts", "all1.ts")),
    "key by a redirect": _Case("/locked/all.m3u8", moved=("/locked/the.key",)),
    "key by its name": _Case("/locked/all.m3u8", named=("the.key",)),
    "locked segment by its name": _Case("/locked/all.m3u8", named=("all0.ts", "all1.ts")),
    "first part by a redirect": _Case("/parts/all.m3u8", moved=("/parts/init.mp4",)),
    "first part by its name": _Case("/parts/all.m3u8", named=("init.mp4",)),
    "variant by a redirect": _Case("/plain/master.m3u8", moved=("/plain/all.m3u8",)),
    "variant by its name": _Case("/plain/master.m3u8", named=("all.m3u8",)),
    "sound by its name": _Case("/plain/sound.m3u8", named=("all.m3u8",)),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a video, and the same as playlists: plain, with a key, and with a first part."""
    folder = tmp_path_factory.mktemp("site")
    for name in ("plain", "locked", "parts"):
        (folder / name).mkdir()
    encoder = {"g": "10", "bf": "0"}
    write_video(folder / "a.mp4", _COUNT, muxer={"movflags": "faststart"})
    write_video(folder / "plain" / "all.m3u8", _COUNT, muxer=_VOD, encoder=encoder)
    (folder / "locked" / "the.key").write_bytes(b"0123456789abcdef")
    (folder / "key.txt").write_text(f"the.key\n{folder / 'locked' / 'the.key'}\n")
    key = {"hls_key_info_file": str(folder / "key.txt")}
    write_video(folder / "locked" / "all.m3u8", _COUNT, muxer={**_VOD, **key}, encoder=encoder)
    parts = {"hls_segment_type": "fmp4", "hls_segment_filename": str(folder / "parts" / "all%d.m4s")}
    write_video(folder / "parts" / "all.m3u8", _COUNT, muxer={**_VOD, **parts}, encoder=encoder)
    (folder / "plain" / "master.m3u8").write_text(_MASTER)
    (folder / "plain" / "sound.m3u8").write_text(_WITH_SOUND)
    (folder / "plain" / "all").write_bytes((folder / "plain" / "all.m3u8").read_bytes())
    return folder


def _site(files: Path, named: tuple[str, ...] = (), other: str = "") -> Callable[[HttpRequest], None]:
    """Serves the folder, a camera and a picture; playlists name some files with the whole address of the other host."""
    numbers = count()

    def answer(request: HttpRequest) -> None:
        path = urlsplit(request.path).path
        if path.startswith("/snap"):
            request.send(200, jpeg(next(numbers)), "image/jpeg")
        elif path == "/video":
            multipart_camera(50)(request)
        else:
            body = (files / path.strip("/")).read_bytes()
            if body.startswith(b"#EXTM3U"):
                for name in named:
                    whole = f"{other}{path.rpartition('/')[0]}/{name}"
                    body = body.replace(name.encode(), whole.encode())
            is_playlist = body.startswith(b"#EXTM3U")
            request.send(200, body, "application/vnd.apple.mpegurl" if is_playlist else "application/octet-stream")

    return answer


@contextmanager
def _two_hosts(files: Path, case: _Case, *, other_host: str = "127.0.0.2") -> Iterator[tuple[str, str, list[str]]]:
    """Serve a case: the address, host and port of the other host, and the paths that are asked for there."""
    asked: list[str] = []
    elsewhere = _site(files)

    def other_answer(request: HttpRequest) -> None:
        asked.append(request.path)
        assert "Authorization" not in request.headers
        elsewhere(request)

    with http_server(other_answer, host=other_host) as other:
        here = _site(files, case.named, other)

        def answer(request: HttpRequest) -> None:
            if request.path in case.moved:
                request.send(302, b"", "text/plain", Location=other + request.path)
            else:
                here(request)

        with http_server(answer) as url:
            yield url + case.path, other.removeprefix("http://"), asked


def _outcome(address: str) -> tuple[int, str]:
    """How many frames come, at most 3, and what is said."""
    try:
        with open_source(address, recovery=_QUICK) as source:
            frames = list(islice(source.frames(), 3))
            return len(frames), " ".join(warnings_of(source))
    except SourceError as error:
        return 0, str(error)


@pytest.mark.parametrize("name", _CASES)
def test_other_host_is_not_asked_and_the_error_says_how_to_allow_it(files: Path, name: str) -> None:
    """Whatever leads there; the text names the host and the setting."""
    with _two_hosts(files, _CASES[name]) as (address, other, asked):
        _, told = _outcome(address)
    assert asked == []
    if name != "sound by its name":  # whose pictures are there
        assert f"http://{other}, which was not followed" in told
        assert f"add #hosts={other} to the address" in told


@pytest.mark.parametrize("setting", ["the host", "any"])
@pytest.mark.parametrize("name", _CASES)
def test_other_host_is_followed_when_it_is_allowed(files: Path, name: str, setting: str) -> None:
    """By its name and port, or with all others."""
    with _two_hosts(files, _CASES[name]) as (address, other, asked):
        frames, told = _outcome(f"{address}#hosts={other if setting == 'the host' else 'any'}")
    assert frames > 0, told
    assert asked
    assert "not followed" not in told


def test_another_port_of_the_same_host_is_another_server(files: Path) -> None:
    """What listens there is not what was asked for."""
    with _two_hosts(files, _CASES["file"], other_host="127.0.0.1") as (address, other, asked):
        with pytest.raises(SourceError, match="which was not followed: 127") as caught:
            open_source(address)
        assert caught.value.code is SourceErrorCode.ELSEWHERE
        assert asked == []
        assert _outcome(f"{address}#hosts={other}")[0] > 0


def test_password_does_not_go_to_another_host(files: Path) -> None:
    """Which is allowed, and asked without it; `other_answer` would fail."""
    with _two_hosts(files, _CASES["segment by its name"]) as (address, other, asked):
        frames, told = _outcome(address.replace("://", "://cam:s3cret@") + f"#hosts={other}")
    assert frames == 3, told
    assert "s3cret" not in told
    assert asked


@pytest.mark.parametrize("location", ["http://127.0.0.1:99999/x", "http://[bad", "//[bad/x"])
def test_redirect_to_what_is_no_address_says_so(location: str) -> None:
    """With what came."""
    with (
        http_server(lambda request: request.send(302, b"", "text/plain", Location=location)) as url,
        pytest.raises(SourceError, match=r"it redirects to '.*, which is no address") as caught,
    ):
        open_source(f"{url}/a", recovery=_QUICK)
    assert location.removesuffix("/x") in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        b"v=0\r\no=- 0 0 IN IP4 127.0.0.2\r\ns=x\r\nc=IN IP4 127.0.0.2\r\nt=0 0\r\nm=video 45678 RTP/AVP 26\r\n",
        b"ffconcat version 1.0\nfile plain/all.m3u8\n",
        b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n",
        b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\ntcp://127.0.0.2:45678\n#EXT-X-ENDLIST\n",
        b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nconcat:http://127.0.0.2:45678/a.ts|b.ts\n#EXT-X-ENDLIST\n",
        b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsubfile,,start,0,end,9,,:/etc/hostname\n#EXT-X-ENDLIST\n",
    ],
    ids=["sdp", "concat", "file", "tcp", "concat protocol", "subfile"],
)
def test_description_that_leads_elsewhere_is_refused(body: bytes) -> None:
    """Of other kinds than playlists, or with other kinds of addresses."""
    with (
        http_server(lambda request: request.send(200, body, "text/plain")) as url,
        pytest.raises(SourceError, match=r"not followed|cannot open"),
    ):
        open_source(f"{url}/a", recovery=_QUICK)


def test_segment_that_is_a_script_leads_nowhere(files: Path) -> None:
    """A script of FFmpeg's concat demuxer in the place of a segment, whose playlist names another host."""
    asked: list[str] = []
    with http_server(lambda request: asked.append(request.path), host="127.0.0.2") as other:
        answers = {
            "/all.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\na.ts\n#EXT-X-ENDLIST\n",
            "/a.ts": "ffconcat version 1.0\nfile nested.m3u8\n",
            "/nested.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{other}/b.ts\n#EXT-X-ENDLIST\n",
        }
        with (
            http_server(lambda request: request.send(200, answers[request.path].encode(), "text/plain")) as url,
            pytest.raises(SourceError),
        ):
            open_source(f"{url}/all.m3u8", recovery=_QUICK)
    assert asked == []


def test_playlist_file_names_servers_only_when_they_are_allowed(files: Path, tmp_path: Path) -> None:
    """A file of this machine asks for no server: its pictures that are here come, and a warning says the rest."""
    asked: list[str] = []
    site = _site(files)

    def answer(request: HttpRequest) -> None:
        asked.append(request.path)
        site(request)

    with http_server(answer, host="127.0.0.2") as other:
        playlist = tmp_path / "list.m3u8"
        text = (files / "plain" / "all.m3u8").read_text()
        local = str(files / "plain" / "all0.ts")
        playlist.write_text(text.replace("all1.ts", f"{other}/plain/all1.ts").replace("all0.ts", local))
        with open_source(playlist) as source:
            assert len(list(source.frames())) == 10
            assert f"names files on {other.removeprefix('http://')}" in " ".join(warnings_of(source))
            assert "#hosts=" in " ".join(warnings_of(source))
        assert asked == []
        with open_source(f"{playlist}#hosts={other.removeprefix('http://')}") as source:
            assert len(list(source.frames())) == _COUNT
            assert warnings_of(source) == ()
        assert asked == ["/plain/all1.ts"]


@pytest.mark.usefixtures("warm_python")
def test_run_says_that_an_address_redirects_and_how_to_allow_it(files: Path, tmp_path: Path) -> None:
    """Through the command line."""
    model = ["--random-weights", "--model", str(write_tiny_config(tmp_path)), "--device", "cpu"]
    with _two_hosts(files, _CASES["file"]) as (address, other, asked):
        done = run_command("run", address, "-p", "the red circle", *model, cwd=tmp_path)
        assert done.returncode == 1
        assert asked == []
        assert f"add #hosts={other}" in " ".join(done.stderr.split())
        allowed = f"{address}#hosts={other}"
        done = run_command("run", allowed, "-p", "the red circle", "--max-frames", "3", *model, cwd=tmp_path)
        assert done.returncode == 0, done.stderr


_MOVED = "302 Moved Temporarily"


def test_rtsp_redirect_is_followed_where_it_may_be() -> None:
    """And is refused elsewhere; FFmpeg would follow it anywhere."""
    packetizer, pictures = Packetizer(), encode_pictures(3, options={"tune": "zerolatency"})
    with scripted_camera() as other, scripted_camera(status=_MOVED, fields=[f"Location: {other.url}"]) as camera:
        url, host = camera.url.replace("//", "//me:p4ss@"), urlsplit(other.url).netloc
        with pytest.raises(SourceError, match=f"#hosts={host}") as refused:
            open_source(url, recovery=None)
        assert refused.value.code is SourceErrorCode.ELSEWHERE
        assert "p4ss" not in str(refused.value)
        assert (other.connections, camera.connections) == (0, 1)
        packets = [packet for picture in pictures for packet in packetizer.packets(picture)]
        sender = Thread(target=other.send, args=(packets,))
        sender.start()
        with open_source(f"{url}#hosts={host}", recovery=None) as source:
            sender.join()
            assert next(source.frames()).complete_at == "marker"
    assert other.requests[0].startswith(f"OPTIONS {other.url} ")


def test_rtsp_password_is_not_told_to_another_host() -> None:
    """Where the redirect may be followed to, but a password is asked for; FFmpeg would tell it."""
    asks = ['WWW-Authenticate: Basic realm="other"']
    with (
        scripted_camera(status="401 Unauthorized", fields=asks) as other,
        scripted_camera(status=_MOVED, fields=[f"Location: {other.url}"]) as camera,
    ):
        with pytest.raises(SourceError, match="401"):
            open_source(f"{camera.url.replace('//', '//me:p4ss@')}#hosts=any", recovery=None)
        assert other.requests
        assert not other.authorizations


@pytest.mark.parametrize("location", ["/again", "http://cam/", "file:///etc/passwd", "rtsps://cam/"])
def test_rtsp_redirect_that_leads_nowhere_is_an_error(location: str) -> None:
    """A circle, and what is no address of a camera."""
    with scripted_camera(status=_MOVED, fields=[f"Location: {location}"]) as camera:
        with pytest.raises(SourceError, match="redirects") as told:
            open_source(camera.url, recovery=None)
        is_circle = location == "/again"
        assert told.value.code is (SourceErrorCode.SERVER_ERROR if is_circle else SourceErrorCode.ELSEWHERE)
        assert camera.connections == (6 if is_circle else 1)


def test_rtsp_answer_that_is_not_understood_leads_nowhere() -> None:
    """FFmpeg understands more, such as a redirect behind a very long head."""
    with scripted_camera() as other:
        long = ["X-Long: " + 70_000 * "x", f"Location: {other.url}"]
        with scripted_camera(status=_MOVED, fields=long) as camera, pytest.raises(SourceError, match="cannot open"):
            open_source(camera.url, recovery=None)
        assert other.connections == 0
