"""Times of containers that hold none, or none of presentation: exactly frame by frame."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from ssa_stream.sources import FileSource
from ssa_stream.sources.presentation import PresentationTimes
from tests.support.picture_files import write_images
from tests.support.video_files import read_number, write_video

FPS = 30
B_FRAMES = {"bf": "3", "g": "30", "crf": "10"}


@pytest.mark.parametrize(
    ("name", "codec", "within_s"),
    [
        ("a.avi", "libx264", 1e-9),
        ("a.avi", "mpeg4", 1e-9),
        ("a.wmv", "libx264", 1e-3),
        ("a.mpg", "libx264", 1e-9),
        ("a.mpg", "mpeg2video", 1e-9),
        ("a.h264", "libx264", 1e-9),
        ("a.mkv", "libx264", 1e-3),
        ("a.mp4", "libx264", 1e-9),
        ("a.ts", "libx264", 1e-9),
    ],
    ids=["avi", "avi-mpeg4", "asf", "program-stream", "mpeg2", "elementary", "mkv", "mp4", "ts"],
)
def test_times_of_b_frames_are_exact(tmp_path: Path, name: str, codec: str, within_s: float) -> None:
    """The n-th frame is at n/30, whatever the container writes; nothing had to be repaired."""
    encoder = B_FRAMES if codec == "libx264" else {"bf": "2", "g": "12"}
    with FileSource(write_video(tmp_path / name, 60, fps=FPS, codec=codec, encoder=encoder)) as source:
        frames = list(source.frames())
    assert [read_number(frame.image) for frame in frames] == list(range(60))
    assert [frame.t for frame in frames] == pytest.approx([n / FPS for n in range(60)], abs=within_s)
    assert source.warnings == ()
    assert source.info.fps == pytest.approx(FPS, rel=0.02)


@pytest.mark.parametrize("ending", ["vob", "mpg"])
def test_times_of_a_program_stream_whose_headers_lie_in_two_packets_are_exact(tmp_path: Path, ending: str) -> None:
    """FFmpeg gives some written times to a neighbour there; noise makes packets end anywhere in a picture."""
    noise = np.random.default_rng(0)
    images = [noise.integers(90, 110, (96, 160, 3)).astype(np.uint8) for _ in range(300)]
    encoder = {"bf": "2", "g": "5"}
    path = write_images(tmp_path / f"a.{ending}", images, fps=25, codec="mpeg2video", encoder=encoder)
    with FileSource(path) as source:
        times = [frame.t for frame in source.frames()]
    assert times == pytest.approx([n / 25 for n in range(300)], abs=1e-6)
    assert source.warnings == ()


def _mended(times: Sequence[int]) -> list[int | None]:
    """What becomes of the times of a program stream of 25 frames per second, in frame intervals."""
    presentation = PresentationTimes("mpeg", Fraction(25), Fraction(1, 25), lambda: 0, {})
    frames = [av.VideoFrame(16, 16) for _ in times]
    for frame, time in zip(frames, times, strict=True):
        frame.pts = time
        presentation.mend(frame)
    return [frame.pts for frame in frames]


def test_hole_in_a_program_stream_is_believed_after_a_while() -> None:
    """Two frames are missing for good, which no neighbour explains."""
    times = [*range(10), *range(12, 100)]
    mended = _mended(times)
    assert mended[10:40] == list(range(10, 40))
    assert mended[70:] == times[70:]


def test_long_hole_in_a_program_stream_is_believed_at_once() -> None:
    """It is no time of a neighbour."""
    times = [*range(10), *range(14, 50)]
    assert _mended(times) == times


@pytest.mark.parametrize(("name", "codec"), [("a.h264", "libx264"), ("a.mjpeg", "mjpeg")])
def test_rate_of_an_elementary_stream_can_be_given(tmp_path: Path, name: str, codec: str) -> None:
    """It says one rate, its owner knows another one."""
    path = write_video(tmp_path / name, 10, fps=FPS, codec=codec, encoder={})
    with FileSource(path, rate_hz=Fraction(25, 2)) as source:
        assert [frame.t for frame in source.frames()] == pytest.approx([n / 12.5 for n in range(10)])


def test_lost_packets_do_not_shift_the_times_of_later_frames(tmp_path: Path) -> None:
    """Frames that are never decoded leave a hole where they were; those after it keep their own times."""
    path = write_video(tmp_path / "a.avi", 90, fps=FPS, encoder=B_FRAMES)
    with av.open(str(path)) as container:
        positions = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.pos]
    data = bytearray(path.read_bytes())
    for start, size in positions[12:16]:
        data[start + 8 : start + 8 + size] = bytes(size)
    path.write_bytes(data)
    with FileSource(path) as source:
        frames = list(source.frames())
    assert source.corrupt_packets
    assert len(frames) < 90
    later = [(read_number(frame.image), frame.t) for frame in frames if frame.t > 1.0]  # after the next key frame
    assert len(later) > 50
    assert [t for _, t in later] == pytest.approx([number / FPS for number, _ in later], abs=1e-9)
