"""What is missing of a recording is said with figures; of a whole one nothing is said, however odd it is."""

import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest
from av.video.stream import VideoStream

from ssa_stream.sources import FileSource
from tests.support.video_files import numbered_image, read_number, write_video

FPS = 30
KEYS = {"g": "15", "crf": "10"}


def _read(path: Path) -> tuple[int, tuple[str, ...]]:
    with FileSource(path) as source:
        return sum(1 for _ in source.frames()), source.warnings


@pytest.mark.parametrize(
    ("name", "muxer", "says"),
    [
        ("a.mp4", {"movflags": "faststart"}, r"{missing} of 60 frames are missing .*\({seconds:.2f} s\)"),
        ("a.mp4", {"movflags": "frag_keyframe+empty_moov"}, r"of \d+ frames are missing"),
        ("a.mkv", None, r"of 2\.00 s \(about \d+ frames\) are missing"),
        ("a.mkv", {"live": "1"}, r"after {frames} frames and .* bytes are missing"),
        ("a.flv", None, r"of 2\.0\d s \(about \d+ frames\) are missing"),
        ("a.ts", None, r"after {frames} frames .*inside a packet"),
    ],
    ids=["mp4", "fragmented", "mkv", "live-mkv", "flv", "ts"],
)
def test_cut_off_recording_says_how_much_is_missing(
    tmp_path: Path, name: str, muxer: dict[str, str] | None, says: str
) -> None:
    """What is there comes; one warning has the rest, in frames and seconds where the container says its length."""
    path = write_video(tmp_path / name, 60, fps=FPS, muxer=muxer, encoder=KEYS)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * 0.75) + 1])
    frames, warnings = _read(path)
    assert 0 < frames < 60
    (warning,) = [text for text in warnings if "cut off" in text]
    expected = says.format(missing=60 - frames, frames=frames, seconds=(60 - frames) / FPS)
    assert re.search(expected, warning), warning


def test_damage_in_the_middle_is_told(tmp_path: Path) -> None:
    """Nothing is cut off, but frames are missing."""
    path = write_video(tmp_path / "a.mp4", 60, fps=FPS, muxer={"movflags": "faststart"}, encoder={"g": "15"})
    with av.open(str(path)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.pos]
    data = bytearray(path.read_bytes())
    for start, size in packets[15:20]:
        data[start : start + size] = bytes(size)
    path.write_bytes(data)
    frames, warnings = _read(path)
    assert frames < 60
    assert any(f"{60 - frames} of 60 frames are missing" in warning for warning in warnings), warnings


def test_file_that_grows_is_told(tmp_path: Path) -> None:
    """A recorder still writes to it."""
    path = write_video(tmp_path / "a.ts", 60, fps=FPS)
    data = path.read_bytes()
    half = len(data) // 2 // 188 * 188
    path.write_bytes(data[:half])
    with FileSource(path) as source:
        frames = source.frames()
        next(frames)
        with path.open("ab") as file:
            file.write(data[half:])
        assert sum(1 for _ in frames) > 10
        assert any("still being written" in warning for warning in source.warnings), source.warnings


def _cut_copy(source: Path, path: Path) -> None:
    """Copy from 1.5 s on without encoding: it begins at the key frame before, with an edit list or negative times."""
    with av.open(str(source)) as read, av.open(str(path), "w") as write:
        stream = read.streams.video[0]
        assert stream.time_base is not None
        copy = write.add_stream_from_template(stream)
        start = int(Fraction(3, 2) / stream.time_base)
        read.seek(start, stream=stream)
        for packet in read.demux(stream):
            if packet.dts is not None and packet.pts is not None:
                packet.pts, packet.dts, packet.stream = packet.pts - start, packet.dts - start, copy
                write.mux(packet)


def _with_longer_audio(path: Path) -> None:
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=FPS)
        assert isinstance(video, VideoStream)
        video.width, video.height, video.pix_fmt = 96, 48, "yuv420p"
        audio = container.add_stream("aac", rate=16_000)
        for _ in range(30):
            container.mux(video.encode(av.VideoFrame.from_ndarray(np.zeros((48, 96, 3), np.uint8), format="rgb24")))
        container.mux(video.encode(None))
        for _ in range(10):
            sound = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), format="fltp", layout="mono")
            sound.sample_rate = 16_000
            container.mux(audio.encode(sound))
        container.mux(audio.encode(None))


def _odd_rate(path: Path) -> None:
    write_video(path, 6, times_ms=[0, 33, 100, 105, 900, 9000])


def _from_cut_copy(path: Path) -> None:
    _cut_copy(write_video(path.with_name(f"whole{path.suffix}"), 90, fps=FPS, encoder={"g": "30"}), path)


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.ts", "a.flv"])
@pytest.mark.parametrize("make", [_odd_rate, _from_cut_copy, _with_longer_audio])
def test_whole_recording_has_no_warning(tmp_path: Path, name: str, make: Callable[[Path], None]) -> None:
    """Pauses, edit lists, negative times and a sound track that is longer are no loss."""
    make(tmp_path / name)
    frames, warnings = _read(tmp_path / name)
    assert frames > 0
    assert warnings == ()


def _write_two(path: Path) -> Path:
    """Two video streams: 96x48, and 192x96, which is marked as default."""
    with av.open(str(path), "w") as container:
        streams = []
        for height, width in ((48, 96), (96, 192)):
            stream = container.add_stream("libx264", rate=FPS)
            assert isinstance(stream, VideoStream)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            streams.append(stream)
        streams[0].disposition, streams[1].disposition = (
            av.stream.Disposition(0),
            av.stream.Disposition.default,
        )
        for stream in streams:
            for _ in range(5):
                image = np.zeros((stream.height, stream.width, 3), np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(("stream", "size"), [(None, (96, 192)), (0, (48, 96)), (1, (96, 192))])
def test_stream_is_the_default_or_the_chosen_one(tmp_path: Path, stream: int | None, size: tuple[int, int]) -> None:
    """The default mark counts, not the order; each stream can be asked for."""
    with FileSource(_write_two(tmp_path / "a.mkv"), stream=stream) as source:
        assert {frame.size for frame in source.frames()} == {size}


def test_stream_that_is_not_there_lists_those_that_are(tmp_path: Path) -> None:
    """With what tells them apart."""
    with pytest.raises(OSError, match=r"no video stream 2; it has 0: h264, 96x48; 1: h264, 192x96, default"):
        FileSource(_write_two(tmp_path / "a.mkv"), stream=2)


def test_frame_that_a_library_fails_on_costs_that_frame_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error's type is told."""
    from ssa_stream.sources.conversion import FrameConverter

    convert = FrameConverter.convert

    def fails_once(self: FrameConverter, decoded: av.VideoFrame, camera_ns: int | None = None) -> object:
        if self.frames == 3 and not failed:
            failed.append(True)
            raise LookupError("an unknown value")
        return convert(self, decoded, camera_ns)

    failed: list[bool] = []
    monkeypatch.setattr(FrameConverter, "convert", fails_once)
    with FileSource(write_video(tmp_path / "a.mp4", 10)) as source:
        assert [read_number(frame.image) for frame in source.frames()] == [0, 1, 2, 4, 5, 6, 7, 8, 9]
        assert source.warnings == ("1 frames were skipped because of an unexpected LookupError",)
        assert source.losses.failed_frames == 1


def _with_late_video(path: Path) -> Path:
    """Sound from the start, 60 frames from 3 s on."""
    with av.open(str(path), "w") as container:
        sound = container.add_stream("aac", rate=16000)
        video = container.add_stream("libx264", rate=FPS)
        video.height, video.width, video.pix_fmt = 48, 96, "yuv420p"
        for start in range(0, 5 * 16000, 1024):
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            silence.rate, silence.pts, silence.time_base = 16000, start, Fraction(1, 16000)
            container.mux(sound.encode(silence))
        for number in range(60):
            frame = av.VideoFrame.from_ndarray(numbered_image(number), format="rgb24")
            frame.pts, frame.time_base = 3 * FPS + number, Fraction(1, FPS)
            container.mux(video.encode(frame))
        for stream in (video, sound):
            container.mux(stream.encode(None))
    return path


def test_video_that_begins_after_its_sound_is_whole(tmp_path: Path) -> None:
    """As of a recorder that waits for a key frame; Matroska counts lengths from the start of the file."""
    assert _read(_with_late_video(tmp_path / "a.mkv")) == (60, ())


def test_long_last_picture_is_not_missing(tmp_path: Path) -> None:
    """Pictures of a rate that varies may be shown for seconds."""
    assert _read(write_video(tmp_path / "a.flv", 6, times_ms=[0, 100, 3100, 3200, 3300, 9000])) == (6, ())


class _Pipe:
    """Takes bytes and cannot go back."""

    def __init__(self) -> None:
        self.written = b""

    def write(self, data: bytes) -> int:
        """Keep them."""
        self.written += bytes(data)
        return len(data)


def test_video_from_a_pipe_has_no_count_that_nobody_wrote(tmp_path: Path) -> None:
    """AVI and IVF keep placeholders in their heads there."""
    for name, codec in (("a.avi", "mpeg4"), ("a.ivf", "libvpx")):
        path, pipe = tmp_path / name, _Pipe()
        with av.open(pipe, "w", format=name[2:]) as container:
            stream = cast(VideoStream, container.add_stream(codec, rate=FPS))
            stream.height, stream.width, stream.pix_fmt = 48, 96, "yuv420p"
            for number in range(30):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(numbered_image(number), format="rgb24")))
            container.mux(stream.encode(None))
        path.write_bytes(pipe.written)
        assert _read(path) == (30, ())
        with FileSource(path) as source:
            assert source.info.frame_count in (None, 30)


def test_cut_off_avi_says_how_many_seconds_are_missing(tmp_path: Path) -> None:
    """By its frames: FFmpeg shortens its duration."""
    path = write_video(tmp_path / "a.avi", 30, fps=FPS, codec="mpeg4", encoder={"g": "1"})
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * 0.6)])
    frames, warnings = _read(path)
    assert any(f"{30 - frames} of 30 frames" in text and f"({(30 - frames) / FPS:.2f} s)" in text for text in warnings)


def test_file_that_another_one_replaces_meanwhile_is_whole(tmp_path: Path) -> None:
    """Nothing is said of the other one."""
    path, other = write_video(tmp_path / "a.mp4", 20), write_video(tmp_path / "b.mp4", 60)
    with FileSource(path) as source:
        frames = source.frames()
        next(frames)
        other.replace(path)
        assert (sum(1 for _ in frames), source.warnings) == (19, ())
