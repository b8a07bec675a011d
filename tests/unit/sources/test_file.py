"""Recordings: every frame in order, and what can be saved of broken ones."""

from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from ssa_stream.errors import SourceError
from ssa_stream.sources import FileSource
from tests.support.video_files import HEIGHT, WIDTH, read_number, write_audio, write_video


def _numbers(source: FileSource) -> list[int]:
    return [read_number(frame.image) for frame in source.frames()]


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.avi", "mpeg4"), ("a.mov", "mjpeg")],
    ids=["mp4", "mkv", "avi", "mjpeg"],
)
def test_frames_of_a_whole_file_come_in_order(tmp_path: Path, name: str, codec: str) -> None:
    """B-frames are put back in order; nothing is lost at the end."""
    with FileSource(write_video(tmp_path / name, 50, codec=codec, encoder={})) as source:
        frames = list(source.frames())
    assert [read_number(frame.image) for frame in frames] == list(range(50))
    assert [frame.seq for frame in frames] == list(range(50))
    assert [frame.t for frame in frames] == pytest.approx([index / 10 for index in range(50)], abs=2e-3)
    assert {frame.epoch for frame in frames} == {0}
    assert not source.warnings
    assert source.info.size == (HEIGHT, WIDTH)
    assert source.info.fps == pytest.approx(10)
    assert not source.info.live


def test_frames_of_variable_rate_keep_their_times(tmp_path: Path) -> None:
    """Each frame has its own time and the number written in the container."""
    times_ms = [0, 33, 100, 105, 900, 2000]
    with FileSource(write_video(tmp_path / "a.mkv", 6, times_ms=times_ms)) as source:
        frames = list(source.frames())
    assert [frame.t for frame in frames] == pytest.approx([ms / 1000 for ms in times_ms])
    written = [frame.pts * frame.time_base for frame in frames if frame.pts is not None and frame.time_base is not None]
    assert [float(time - written[0]) for time in written] == pytest.approx([ms / 1000 for ms in times_ms])


@pytest.mark.parametrize("degrees", [90, 180, -90])
def test_frames_of_a_rotated_file_are_upright(tmp_path: Path, degrees: int) -> None:
    """A phone's recording comes as a player shows it, and `info` says so beforehand."""
    path = write_video(tmp_path / "a.mp4", [1], rotation=degrees)
    with FileSource(path) as source:
        frame = next(source.frames())
    with FileSource(write_video(tmp_path / "b.mp4", [1])) as plain:
        stored = next(plain.frames()).image
    upright = np.rot90(stored, degrees // 90)
    assert frame.size == upright.shape[:2] == source.info.size
    assert np.abs(frame.image.astype(int) - upright).mean() < 4
    with av.open(str(path)) as container:
        assert next(container.decode(video=0)).rotation == degrees or degrees == 180


def test_frames_of_one_picture_are_one(tmp_path: Path) -> None:
    """A video of a single frame, and a still image."""
    with FileSource(write_video(tmp_path / "a.mp4", [5])) as source:
        assert _numbers(source) == [5]
    with FileSource(write_video(tmp_path / "a.jpg", [6], codec="mjpeg", muxer={"update": "1"})) as source:
        assert _numbers(source) == [6]


def test_image_sequence_is_a_file(tmp_path: Path) -> None:
    """A printf pattern reads numbered pictures."""
    write_video(tmp_path / "%03d.jpg", 4, codec="mjpeg")
    with FileSource(tmp_path / "%03d.jpg") as source:
        assert _numbers(source) == [0, 1, 2, 3]


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4"])
def test_truncated_file_yields_what_is_there_and_says_so(tmp_path: Path, name: str) -> None:
    """A recording that was cut off keeps its beginning; the loss is told, not thrown."""
    path = write_video(tmp_path / name, 100, muxer={"movflags": "faststart"} if name.endswith("mp4") else None)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * 0.7)])
    with FileSource(path) as source:
        numbers = _numbers(source)
        assert 10 < len(numbers) < 100
        assert numbers[:10] == list(range(10))
    assert any("cut off" in warning for warning in source.warnings), source.warnings


def test_damaged_packets_are_skipped_and_counted(tmp_path: Path) -> None:
    """Garbage in the middle costs the frames it hits, not the rest."""
    path = write_video(tmp_path / "a.mkv", 60, codec="mpeg4", encoder={"g": "1"})
    with av.open(str(path)) as container:
        where = [packet.pos for packet in container.demux(video=0) if packet.pos]
    data = bytearray(path.read_bytes())
    for position in (where[20], where[30]):
        data[position + 8 : position + 60] = b"\0" * 52
    path.write_bytes(data)
    with FileSource(path) as source:
        numbers = _numbers(source)
    assert len(numbers) >= 55
    assert numbers[-1] == 59
    assert source.corrupt_packets or source.warnings


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "0 bytes"), (bytes(range(256)) * 20, "not a video"), (b"hello, this is text\n" * 9, "video")],
    ids=["zero-bytes", "garbage", "text"],
)
def test_no_video_at_all_raises_one_clear_error(tmp_path: Path, content: bytes, says: str) -> None:
    """The message names the file and the cause."""
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=says) as caught:
        FileSource(path)
    assert str(path) in str(caught.value)


def test_file_without_index_raises_one_clear_error(tmp_path: Path) -> None:
    """An interrupted mp4 has no table of frames; nothing can be read from it."""
    path = write_video(tmp_path / "a.mp4", 30)
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(SourceError, match="cut off before its index was written"):
        FileSource(path)


def test_file_with_an_index_and_no_frame_raises_one_clear_error(tmp_path: Path) -> None:
    """A recording that was cut off before its first picture."""
    path = write_video(tmp_path / "a.mkv", 5)
    with av.open(str(path)) as container:
        first = next(container.demux(video=0)).pos
    assert first
    path.write_bytes(path.read_bytes()[:first])
    with pytest.raises(SourceError, match="holds no frame that can be decoded"):
        FileSource(path)


def test_audio_only_raises_one_clear_error(tmp_path: Path) -> None:
    """The message says what the file holds instead."""
    with pytest.raises(SourceError, match="no video stream, only: audio"):
        FileSource(write_audio(tmp_path / "a.m4a"))


def test_missing_file_and_directory_raise_one_clear_error(tmp_path: Path) -> None:
    """Neither gets as far as FFmpeg."""
    with pytest.raises(SourceError, match="does not exist"):
        FileSource(tmp_path / "none.mp4")
    with pytest.raises(SourceError, match="is a directory"):
        FileSource(tmp_path)


def test_change_of_size_begins_an_epoch(tmp_path: Path) -> None:
    """Frames of two sizes in one stream are told apart; time goes on."""
    for number, size in enumerate([(HEIGHT, WIDTH), (2 * HEIGHT, 2 * WIDTH)]):
        write_video(tmp_path / f"{number}.h264", 5, size=size)
    joined = tmp_path / "joined.h264"
    joined.write_bytes((tmp_path / "0.h264").read_bytes() + (tmp_path / "1.h264").read_bytes())
    with FileSource(joined) as source:
        frames = list(source.frames())
    assert [(frame.epoch, frame.seq) for frame in frames] == [(epoch, seq) for epoch in (0, 1) for seq in range(5)]
    assert frames[5].size == (2 * HEIGHT, 2 * WIDTH)
    assert all(later.t > earlier.t for earlier, later in pairwise(frames))


def test_close_ends_the_iteration_and_is_idempotent(tmp_path: Path) -> None:
    """Closing in the middle is not an error."""
    source = FileSource(write_video(tmp_path / "a.mp4", 20))
    frames = source.frames()
    next(frames)
    source.close()
    source.close()
    assert list(frames) == []
    assert not source.warnings
