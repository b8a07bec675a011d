"""The video that is written is the video that is read back."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from ssa_stream.errors import ConfigError, SinkError
from ssa_stream.sinks import OverlayVideoSink
from ssa_stream.sources import Frame
from ssa_stream.streaming.results import MaskResult, TrackMask
from ssa_stream.viz.colours import PALETTE
from tests.support.video_files import numbered_image, read_number


def _frame(number: int, t: float, size: tuple[int, int] = (48, 96), epoch: int = 0) -> Frame:
    return Frame(numbered_image(number, *size), number, epoch, t, t_receive_ns=0)


def _pixels(frame: av.VideoFrame) -> NDArray[np.uint8]:
    return np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)


def _decode(path: Path) -> list[tuple[int, float, tuple[int, int]]]:
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        assert container.streams.video[0].pix_fmt == "yuv420p"
        return [
            (read_number(_pixels(frame)), float(frame.time), (frame.height, frame.width))
            for frame in container.decode(video=0)
        ]


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv"])
def test_every_picture_keeps_its_number_and_time(tmp_path: Path, ending: str) -> None:
    """Variable rate, gaps included."""
    times = [0.0, 0.033, 0.1, 0.105, 0.9, 2.5, 2.55]
    path = tmp_path / f"a{ending}"
    with OverlayVideoSink(path, fps=30) as sink:
        for number, t in enumerate(times):
            sink.write(_frame(number, 7.0 + t), [])
    decoded = _decode(path)
    assert [number for number, _, _ in decoded] == list(range(7))
    assert [t for _, t, _ in decoded] == pytest.approx(times, abs=6e-4)
    assert sink.frames == 7


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("fps", [30.0, 30000 / 1001, 1 / 3600, 1 / 86400])
@pytest.mark.parametrize("pause_s", [3600.0, 35_792.0, 3 * 86_400.0, 30 * 86_400.0])
def test_pause_of_any_length_keeps_times_right(tmp_path: Path, ending: str, fps: float, pause_s: float) -> None:
    """To a millisecond, before and after it; what is between are repetitions of the picture before it."""
    times = [number / fps for number in range(5)]
    times += [times[-1] + pause_s + number / fps for number in range(1, 6)]
    with OverlayVideoSink(tmp_path / f"a{ending}", fps) as sink:
        for number, t in enumerate(times):
            sink.write(_frame(number, t), [])
    decoded = _decode(tmp_path / f"a{ending}")
    repeated = [(number, t) for number, t, _ in decoded if min(abs(t - own) for own in times) > 1e-3]
    assert all(number == 4 and times[4] < t < times[5] for number, t in repeated)
    kept = [(number, t) for number, t, _ in decoded if (number, t) not in repeated]
    assert [number for number, _ in kept] == list(range(10))
    assert [t for _, t in kept] == pytest.approx(times, abs=1e-3, rel=0)
    assert len(repeated) <= (0 if pause_s < 20_000 else 40)


@pytest.mark.parametrize("fps", [10.0, 25.0, 30000 / 1001])
def test_steady_stream_stays_steady(tmp_path: Path, fps: float) -> None:
    """Also where the rate is not the one that was announced, as in a graph."""
    with OverlayVideoSink(tmp_path / "a.mp4", fps) as sink:
        for number in range(50):
            sink.write(_frame(number, number / fps), [])
    times = [t for _, t, _ in _decode(tmp_path / "a.mp4")]
    assert times == pytest.approx([number / fps for number in range(50)], abs=1e-9)


def test_finished_mp4_is_an_ordinary_one(tmp_path: Path) -> None:
    """With a table of frames and a duration, as players expect."""
    with OverlayVideoSink(tmp_path / "a.mp4", fps=10) as sink:
        for number in range(20):
            sink.write(_frame(number, number / 10), [])
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.streams.video[0].frames == 20
        assert container.duration == pytest.approx(2_000_000, abs=110_000)


def test_results_are_drawn_in_the_colours_of_their_prompts(tmp_path: Path) -> None:
    """Each outline, on an object of another prompt's colour, is still nearest to its own after the encoder."""
    size, rows, columns = (360, 640), *np.mgrid[:360, :640]
    picture, results, lines = np.full((*size, 3), 128, dtype=np.uint8), [], []
    for number in range(len(PALETTE)):
        x, y = 80 + 160 * (number % 4), 120 + 160 * (number // 4)
        away = np.hypot(rows - y, columns - x)
        mask = away < 50
        picture[away < 60] = PALETTE[(number + 3) % len(PALETTE)]
        lines.append((away < 49) & (away > 47) & (rows > y) & (columns > x))
        track = TrackMask(number + 7, 0.9, 0.9, (x - 50, y - 50, x + 50, y + 50), int(mask.sum()), mask)
        results.append(MaskResult(f"p{number + 1}", "a thing", 1, 0, 0.0, size, (track,), 0.9))
    with OverlayVideoSink(tmp_path / "a.mp4") as sink:
        sink.write(Frame(picture, 0, 0, 0.0, t_receive_ns=0), results)
    with av.open(str(tmp_path / "a.mp4")) as container:
        image = _pixels(next(container.decode(video=0))).astype(int)
    assert np.ptp(image[355, 5]) < 10
    for number, line in enumerate(lines):
        distances = np.linalg.norm(image[line][:, None] - np.array(PALETTE), axis=2)
        assert (distances.argmin(axis=1) == number).mean() > 0.8


def test_odd_sides_are_padded_by_one(tmp_path: Path) -> None:
    """H.264 in the common pixel format needs even ones."""
    with OverlayVideoSink(tmp_path / "a.mp4") as sink:
        sink.write(_frame(5, 0.0, size=(47, 95)), [])
        sink.write(_frame(6, 0.1, size=(47, 95)), [])
    assert [(number, size) for number, _, size in _decode(tmp_path / "a.mp4")] == [(5, (48, 96)), (6, (48, 96))]
    assert sink.resized_frames == 0


def test_change_of_size_is_fitted_in_and_counted(tmp_path: Path) -> None:
    """The first size stays; other shapes get black bars."""
    with OverlayVideoSink(tmp_path / "a.mp4") as sink:
        for number, size in enumerate([(48, 96), (96, 192), (24, 96), (48, 96)]):
            sink.write(_frame(number, number / 10, size=size), [])
    assert [size for _, _, size in _decode(tmp_path / "a.mp4")] == [(48, 96)] * 4
    assert [number for number, _, _ in _decode(tmp_path / "a.mp4")] == [0, 1, 2, 3]
    assert sink.resized_frames == 2


def test_time_that_starts_again_goes_on(tmp_path: Path) -> None:
    """A new epoch from zero follows the old one."""
    with OverlayVideoSink(tmp_path / "a.mp4", fps=10) as sink:
        for number, (t, epoch) in enumerate([(0.0, 0), (0.1, 0), (0.0, 1), (0.3, 1)]):
            sink.write(_frame(number, t, epoch=epoch), [])
    assert [t for _, t, _ in _decode(tmp_path / "a.mp4")] == pytest.approx([0.0, 0.1, 0.2, 0.5])


def test_no_picture_leaves_no_file(tmp_path: Path) -> None:
    """An empty video would only be mistaken for a broken one."""
    OverlayVideoSink(tmp_path / "a.mp4").close()
    assert not (tmp_path / "a.mp4").exists()


def test_missing_h264_falls_back_with_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Never silently."""
    monkeypatch.setattr(av, "codecs_available", av.codecs_available - {"libx264"})
    with OverlayVideoSink(tmp_path / "a.mp4") as sink:
        sink.write(_frame(3, 0.0), [])
        sink.write(_frame(4, 0.25), [])
    assert "no libx264" in caplog.text
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.streams.video[0].codec_context.name == "mpeg4"
        times = [(read_number(_pixels(frame)), frame.time) for frame in container.decode(video=0)]
    assert times == [(3, 0.0), (4, 0.25)]


def test_fallback_writes_long_pauses_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FFmpeg's encoder of MPEG-4 Part 2 takes an hour at most."""
    monkeypatch.setattr(av, "codecs_available", av.codecs_available - {"libx264"})
    with OverlayVideoSink(tmp_path / "a.mp4", fps=120_000 / 1001) as sink:
        for number, t in enumerate([0.0, 0.5, 40_000.0, 40_000.5]):
            sink.write(_frame(number, t), [])
    with av.open(str(tmp_path / "a.mp4")) as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert [times[0], times[1], *times[-2:]] == pytest.approx([0.0, 0.5, 40_000.0, 40_000.5], abs=1e-3)
    assert len(times) == 4 + 11


def test_file_is_complete_under_its_name_only(tmp_path: Path) -> None:
    """What was there stays until then; a name that looks like an address is a file."""
    path = tmp_path / "cam:1.mp4"
    path.write_text("old")
    with OverlayVideoSink(path) as sink:
        sink.write(_frame(3, 0.0), [])
        assert path.read_text() == "old"
        assert (tmp_path / "cam:1.partial.mp4").exists()
    assert [number for number, _, _ in _decode(path)] == [3]
    with pytest.raises(SinkError, match="exists already"):
        OverlayVideoSink(path, overwrite=False)
    OverlayVideoSink(path).close()
    assert [found.name for found in tmp_path.iterdir()] == [path.name]
    assert [number for number, _, _ in _decode(path)] == [3]


def test_wrong_arguments_are_refused(tmp_path: Path) -> None:
    """A rate of nothing, a folder that is not there, a closed sink."""
    with pytest.raises(ConfigError, match="above 0"):
        OverlayVideoSink(tmp_path / "a.mp4", fps=0)
    with pytest.raises(SinkError, match="folder does not exist"):
        OverlayVideoSink(tmp_path / "none" / "a.mp4")
    sink = OverlayVideoSink(tmp_path / "a.mp4")
    sink.close()
    sink.close()
    with pytest.raises(SinkError, match="closed"):
        sink.write(_frame(0, 0.0), [])


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv"])
def test_pixels_keep_their_shape(tmp_path: Path, ending: str) -> None:
    """Players show the overlay as wide as the source."""
    path = tmp_path / f"a{ending}"
    with OverlayVideoSink(path) as sink:
        for number in range(3):
            sink.write(replace(_frame(number, number / 30), pixel_aspect=Fraction(16, 11)), [])
    with av.open(str(path)) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(16, 11)
    assert [size for _, _, size in _decode(path)] == [(48, 96)] * 3


def test_pictures_with_pixels_of_another_shape_are_fitted_in(tmp_path: Path) -> None:
    """The second picture is shown half as high in the wide pixels of the first."""
    path = tmp_path / "a.mkv"
    with OverlayVideoSink(path) as sink:
        sink.write(replace(_frame(1, 0.0), pixel_aspect=Fraction(1)), [])
        sink.write(replace(_frame(1, 0.1), pixel_aspect=Fraction(2)), [])
    assert sink.resized_frames == 1
    with av.open(str(path)) as container:
        _, second = (_pixels(frame) for frame in container.decode(video=0))
    assert second[:8].max() < 40
    assert second[-8:].max() < 40
    assert read_number(second[12:36]) == 1
