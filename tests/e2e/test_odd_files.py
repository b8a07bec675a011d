"""Files of other people through the installed command line: every frame comes, at its time, or one error says why."""

import json
import os
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.stream import VideoStream
from PIL import Image

from tests.support.command_line import CONSOLE_SCRIPT, run_command, write_tiny_config
from tests.support.video_files import numbered_image, write_audio, write_video

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("warm_python")]

FPS = 30
B_FRAMES = {"bf": "3", "g": "30"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a small network's configuration."""
    write_tiny_config(tmp_path)
    return tmp_path


def _arguments(source: str, *more: str) -> list[str]:
    model = ["--random-weights", "--model", "tiny.yaml", "--device", "cpu"]
    return ["run", source, "-p", "the red circle", "-o", "m.jsonl", "--overwrite", "--threshold", "0", *model, *more]


def _run(folder: Path, source: str, *more: str) -> "subprocess.CompletedProcess[str]":
    return run_command(*_arguments(source, *more), cwd=folder)


def _times(folder: Path, source: str) -> list[float]:
    done = _run(folder, source)
    assert done.returncode == 0, done.stderr
    return [line["t"] for line in _lines(folder)]


def _lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "m.jsonl").read_text().splitlines()]


def _error(folder: Path, source: str, *more: str, code: int = 1) -> str:
    done = _run(folder, source, *more)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if "error:" in line]
    return " ".join(done.stderr[done.stderr.index(line) :].split())


def _write_pictures(folder: Path, numbers: Sequence[int]) -> None:
    folder.mkdir()
    for number in numbers:
        Image.fromarray(numbered_image(number)).save(folder / f"f{number:03d}.png")


def test_b_frames_in_avi_come_at_their_times(folder: Path) -> None:
    """AVI holds no time of presentation: the n-th frame is at n/30, and none is missing."""
    write_video(folder / "a.avi", 30, fps=FPS, encoder=B_FRAMES)
    assert _times(folder, "a.avi") == pytest.approx([n / FPS for n in range(30)], abs=1e-6)
    assert [line["frames_missed"] for line in _lines(folder)] == [0] * 30


def test_sequence_with_a_gap_and_a_late_start_is_read_whole(folder: Path) -> None:
    """Numbers are times; the first one is looked for."""
    _write_pictures(folder / "f", [100, 101, 102, 104, 105])
    assert _times(folder, "f/f%03d.png#fps=10") == pytest.approx([0, 0.1, 0.2, 0.4, 0.5])


def test_pattern_that_fits_nothing_says_what_is_there(folder: Path) -> None:
    """One clear error."""
    _write_pictures(folder / "f", [1])
    assert "holds f001.png" in _error(folder, "f/g%03d.png", code=2)


def test_playlist_without_an_end_mark_is_read_whole(folder: Path) -> None:
    """At once: nothing waits for more."""
    segments = {"hls_time": "1", "hls_list_size": "0", "hls_segment_filename": str(folder / "s%d.ts")}
    path = write_video(folder / "a.m3u8", 60, muxer=segments, encoder={"g": "10", "bf": "0"})
    path.write_text(path.read_text().replace("#EXT-X-ENDLIST", ""))
    assert _times(folder, "a.m3u8") == pytest.approx([n / 10 for n in range(60)], abs=1e-3)


@pytest.mark.parametrize(
    ("setting", "size"), [("", [96, 192]), ("#stream=0", [48, 96]), ("?stream=1", [96, 192])], ids=["default", "0", "1"]
)
def test_default_stream_is_read_or_the_chosen_one(folder: Path, setting: str, size: list[int]) -> None:
    """The second stream is marked as default."""
    _write_two(folder / "two.mkv")
    _times(folder, f"two.mkv{setting}")
    assert {tuple(line["size"]) for line in _lines(folder)} == {tuple(size)}


def test_stream_that_is_not_there_lists_those_that_are(folder: Path) -> None:
    """With size and default mark."""
    _write_two(folder / "two.mkv")
    assert "h264, 96x48; 1: h264, 192x96, default" in _error(folder, "two.mkv#stream=7")


def _write_two(path: Path) -> None:
    with av.open(str(path), "w") as container:
        streams = []
        for height, width in ((48, 96), (96, 192)):
            stream = container.add_stream("libx264", rate=10)
            assert isinstance(stream, VideoStream)
            stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
            streams.append(stream)
        streams[0].disposition = av.stream.Disposition(0)
        streams[1].disposition = av.stream.Disposition.default
        for stream in streams:
            for number in range(5):
                image = numbered_image(number, stream.height, stream.width)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            container.mux(stream.encode(None))


def test_audio_with_a_cover_picture_is_called_that(folder: Path) -> None:
    """The cover is no video."""
    with (
        av.open(str(write_audio(folder / "s.m4a"))) as sound,
        av.open(str(folder / "a.m4a"), "w", format="mp4") as container,
    ):
        audio = container.add_stream_from_template(sound.streams.audio[0])
        cover = container.add_stream("mjpeg", rate=1)
        assert isinstance(cover, VideoStream)
        cover.width, cover.height, cover.pix_fmt = 96, 48, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        picture = av.VideoFrame.from_ndarray(np.zeros((48, 96, 3), np.uint8), format="rgb24")
        container.mux(cover.encode(picture))
        container.mux(cover.encode(None))
        for packet in sound.demux(audio=0):
            if packet.dts is not None:
                packet.stream = audio
                container.mux(packet)
    assert "is audio with a cover picture: expected a video" in _error(folder, "a.m4a")


def test_animated_webp_is_read_with_its_durations(folder: Path) -> None:
    """FFmpeg cannot decode it."""
    pictures = [Image.fromarray(numbered_image(number)) for number in range(3)]
    pictures[0].save(folder / "a.webp", save_all=True, append_images=pictures[1:], duration=[100, 300, 50])
    assert _times(folder, "a.webp") == pytest.approx([0, 0.1, 0.4])


def test_fifo_without_a_writer_is_waited_for_so_long(folder: Path) -> None:
    """The time-out of a connection counts for it."""
    os.mkfifo(folder / "fifo")
    began_s = time.monotonic()
    assert "nobody wrote to it within 0.5 s" in _error(folder, "fifo", "--connect-timeout", "0.5")
    assert time.monotonic() - began_s < 60


def test_fifo_with_a_writer_plays(folder: Path) -> None:
    """The program that writes may come later than the one that reads."""
    os.mkfifo(folder / "fifo")
    data = write_video(folder / "a.ts", 10).read_bytes()
    writer = threading.Thread(target=lambda: (folder / "fifo").write_bytes(data))
    writer.start()
    assert _times(folder, "fifo") == pytest.approx([n / 10 for n in range(10)], abs=1e-3)
    writer.join()


@pytest.mark.parametrize("address", ["-", "pipe:0", "/dev/stdin"])
def test_standard_input_is_a_source(folder: Path, address: str) -> None:
    """As for ffmpeg."""
    command = [str(CONSOLE_SCRIPT), *_arguments(address)]
    with subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        _, printed = process.communicate(write_video(folder / "a.mkv", 10).read_bytes(), timeout=120)
    assert process.returncode == 0, printed.decode()
    assert [line["t"] for line in _lines(folder)] == pytest.approx([n / 10 for n in range(10)], abs=1e-3)


def test_terminal_as_standard_input_is_refused(folder: Path) -> None:
    """With a hint how to pipe."""
    leader, follower = os.openpty()
    try:
        done = subprocess.run(
            [str(CONSOLE_SCRIPT), *_arguments("-")], cwd=folder, stdin=follower, capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip
    finally:
        os.close(leader)
        os.close(follower)
    assert done.returncode == 1
    assert "is a terminal; pipe a video into it" in " ".join(done.stderr.split())


def test_file_address_with_percent_codes_is_decoded(folder: Path) -> None:
    """And a name that holds one literally is opened as a plain name."""
    write_video(folder / "ein film #1.mp4", 3)
    assert len(_times(folder, f"file://{folder}/ein%20film%20%231.mp4")) == 3
    write_video(folder / "50%20.mp4", 4)
    assert len(_times(folder, "50%20.mp4")) == 4
    assert "names a file of the machine 'elsewhere'" in _error(folder, "file://elsewhere/a.mp4", code=2)
