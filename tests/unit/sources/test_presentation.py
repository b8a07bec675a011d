"""Times of containers that hold none, or none of presentation: exactly frame by frame."""

from fractions import Fraction
from pathlib import Path

import av
import pytest

from ssa_stream.sources import FileSource
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
