"""A recording is a recording wherever it lies: on a web server it is read whole, as from a disk."""

import json
from pathlib import Path

import av
import pytest

from ssa_stream.sources import Freshest, Recovering, RecoveryPolicy, SourceStage, open_source
from ssa_stream.sources.file import FileSource
from ssa_stream.sources.source import warnings_of
from tests.support.command_line import run_command, write_tiny_config
from tests.support.http_server import HttpRequest, http_server, recording
from tests.support.video_files import read_number, write_video

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120), pytest.mark.usefixtures("warm_python")]

_COUNT = 60
_FAST = {"movflags": "faststart"}
# 8 Mbit/s, filled up: more than FFmpeg keeps of what it looked at.
_LARGE = {"x264-params": "nal-hrd=cbr", "b": "8M", "minrate": "8M", "maxrate": "8M", "bufsize": "800k"}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one video in several containers."""
    folder = tmp_path_factory.mktemp("recordings")
    write_video(folder / "a.mp4", _COUNT, muxer=_FAST)
    write_video(folder / "frag.mp4", _COUNT, muxer={"movflags": "frag_keyframe+empty_moov"}, encoder={"g": "10"})
    write_video(folder / "a.mkv", _COUNT)
    write_video(folder / "a.ts", _COUNT)
    return folder


@pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "no-ranges"])
@pytest.mark.parametrize("name", ["a.mp4", "frag.mp4", "a.mkv", "a.ts"])
def test_recording_over_http_is_read_whole(files: Path, name: str, ranges: bool) -> None:
    """Every frame in order, none dropped, even by who wants the newest one; and its end is an end."""
    answer = recording((files / name).read_bytes(), ranges=ranges)
    with http_server(answer) as url, Freshest(open_source(f"{url}/{name}")) as source:
        assert not source.info.live
        assert [read_number(frame.image) for frame in source.frames()] == list(range(_COUNT))
        assert (source.received, source.dropped) == (_COUNT, 0)
        assert source.warnings == ()


@pytest.mark.parametrize("name", ["large.mp4", "large.mov", "large.ts"])
def test_recording_is_read_whole_from_a_server_that_closes_without_saying_so(tmp_path: Path, name: str) -> None:
    """FFmpeg's way back from the end of the file is sent on a connection that is closed."""
    data = write_video(tmp_path / name, _COUNT, encoder=_LARGE).read_bytes()
    with http_server(recording(data), protocol="HTTP/1.1") as url, open_source(f"{url}/{name}") as source:
        assert [read_number(frame.image) for frame in source.frames()] == list(range(_COUNT))
        assert warnings_of(source) == ()


def test_recording_over_http_without_its_first_pictures_says_so(tmp_path: Path) -> None:
    """The index knows of them, and no error came up."""
    data = write_video(tmp_path / "a.mp4", _COUNT, encoder={"g": "10"}).read_bytes()
    with http_server(recording(data)) as url:
        container = av.open(f"{url}/a.mp4")
        container.seek(2_000_000)
        with FileSource(f"{url}/a.mp4", container=container) as source:
            assert len(list(source.frames())) == _COUNT - 20
            assert "20 of 60 frames are missing" in " ".join(source.warnings)


def test_recording_without_a_length_of_the_answer_is_known_by_its_own(files: Path) -> None:
    """As scripts send files."""
    answer = recording((files / "a.mp4").read_bytes(), ranges=False, length=False)
    with http_server(answer) as url, open_source(f"{url}/a.mp4") as source:
        assert len(list(source.frames())) == _COUNT
        assert warnings_of(source) == ()


def test_finished_playlist_is_a_recording(tmp_path: Path) -> None:
    """All of its segments, not the last ones."""
    hls = {"hls_time": "1", "hls_list_size": "0", "hls_playlist_type": "vod"}
    write_video(tmp_path / "all.m3u8", _COUNT, muxer=hls, encoder={"g": "10"})

    def answer(request: HttpRequest) -> None:
        request.send(200, (tmp_path / request.path.strip("/")).read_bytes(), "application/octet-stream")

    with http_server(answer) as url, open_source(f"{url}/all.m3u8") as source:
        assert not source.info.live
        assert [read_number(frame.image) for frame in source.frames()] == list(range(_COUNT))
        assert warnings_of(source) == ()


@pytest.mark.parametrize("missing", [0, 2, 5], ids=["first", "middle", "last"])
def test_finished_playlist_without_one_of_its_segments_says_so(tmp_path: Path, missing: int) -> None:
    """FFmpeg goes on with the next one."""
    hls = {"hls_time": "1", "hls_list_size": "0", "hls_playlist_type": "vod"}
    write_video(tmp_path / "all.m3u8", _COUNT, muxer=hls, encoder={"g": "10", "bf": "0", "sc_threshold": "0"})

    def answer(request: HttpRequest) -> None:
        if request.path == f"/all{missing}.ts":
            request.send_error(404)
        else:
            request.send(200, (tmp_path / request.path.strip("/")).read_bytes(), "application/octet-stream")

    with http_server(answer) as url, open_source(f"{url}/all.m3u8") as source:
        assert len(list(source.frames())) == _COUNT - 10
        assert "1.00 of the 6.00 s that its playlist names are missing" in " ".join(warnings_of(source))


def test_run_with_a_recording_over_http_counts_every_frame(files: Path, tmp_path: Path) -> None:
    """Through the command line."""
    model = ["--random-weights", "--model", str(write_tiny_config(tmp_path)), "--device", "cpu"]
    with http_server(recording((files / "a.mp4").read_bytes())) as url:
        done = run_command("run", f"{url}/a.mp4", "-p", "the red circle", "-o", "m.jsonl", *model, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (tmp_path / "m.jsonl").read_text().splitlines()]
    assert [line["seq"] for line in lines] == list(range(_COUNT))
    assert "done: 60 frames" in done.stderr


def test_recording_plays_at_its_own_pace_when_it_is_to_be_live(files: Path) -> None:
    """As a file does."""
    with (
        http_server(recording((files / "a.mp4").read_bytes())) as url,
        open_source(f"{url}/a.mp4", live=True) as source,
    ):
        assert source.info.live
        frames = source.frames()
        first, last = next(frames), [next(frames) for _ in range(10)][-1]
    assert (last.t_receive_ns - first.t_receive_ns) / 1e9 == pytest.approx(last.t - first.t, abs=0.2)


def test_recording_that_is_not_there_yet_is_waited_for_and_read_whole(files: Path) -> None:
    """As `--wait` does: what it is, is known only later than how it is read."""
    send, asked = recording((files / "a.mp4").read_bytes()), []

    def answer(request: HttpRequest) -> None:
        asked.append(request.path)
        if len(asked) <= 2:
            request.send_error(503)
        else:
            send(request)

    policy = RecoveryPolicy(patient_start=True, retry_s=0.05, retry_max_s=0.05)
    with http_server(answer) as url, Freshest(open_source(f"{url}/a.mp4", recovery=policy)) as source:
        assert [read_number(frame.image) for frame in source.frames()] == list(range(_COUNT))


def test_connection_that_breaks_is_read_on_where_the_server_can(files: Path) -> None:
    """Once; nobody needs to know."""
    data = (files / "a.mp4").read_bytes()
    with http_server(recording(data, cut_at=len(data) * 2 // 3, cuts=1)) as url, open_source(f"{url}/a.mp4") as source:
        assert len(list(source.frames())) == _COUNT


@pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "no-ranges"])
def test_connection_that_breaks_for_good_is_told_with_what_is_missing(files: Path, ranges: bool) -> None:
    """What came is delivered, as of a file that was cut off."""
    data = (files / "a.mkv").read_bytes()
    with (
        http_server(recording(data, ranges=ranges, cut_at=len(data) * 2 // 3)) as url,
        open_source(f"{url}/a.mkv") as source,
    ):
        count = len(list(source.frames()))
        assert 10 < count < _COUNT
        assert "cut off or damaged" in " ".join(warnings_of(source))
        assert isinstance(source, Recovering)
        assert source.status.stage is SourceStage.ENDED
