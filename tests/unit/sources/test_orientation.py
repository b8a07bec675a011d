"""An orientation that comes with some frames only holds for the others, until it really ends."""

import gc
from pathlib import Path

import av
import pytest

from ssa_stream.sources import FileSource
from tests.support.picture_files import add_orientation, four_colours, write_images

UPRIGHT, STORED = (40, 24), (24, 40)


def _sizes(path: Path) -> list[tuple[int, int]]:
    with FileSource(path) as source:
        return [frame.size for frame in source.frames()]


@pytest.mark.parametrize("ending", [".ts", ".mkv", ".mp4"])
def test_orientation_of_key_frames_holds_between_them(tmp_path: Path, ending: str) -> None:
    """H.264 with the message in every key frame, as phones stream it."""
    encoder = {"g": "10", "x264-params": "pic-struct=1"}  # with a message in every picture, so that one can be added
    raw = write_images(tmp_path / "raw.ts", [four_colours()] * 30, encoder=encoder)
    path = add_orientation(raw, tmp_path / "turned.ts", rotate=90)
    if ending != ".ts":
        path = _remuxed(path, tmp_path / f"turned{ending}")
    with FileSource(path) as source:
        frames = list(source.frames())
    assert {frame.size for frame in frames} == {UPRIGHT}
    assert {frame.epoch for frame in frames} == {0}
    corner = frames[15].image[5, 5].astype(int)
    assert corner[1] > 150 > corner[0], "the top right corner, which is green, is at the top left after a left turn"


def test_orientation_outlives_one_key_frame_without_it_and_not_two(tmp_path: Path) -> None:
    """Key frames at 0, 10, 20 and 30, the message with the first only."""
    raw = write_images(tmp_path / "raw.mp4", [four_colours()] * 40, encoder={"g": "10"})
    sizes = _sizes(add_orientation(raw, tmp_path / "a.mp4", rotate=90))
    assert sizes == [UPRIGHT] * 20 + [STORED] * 20


def test_video_without_orientation_stays_as_it_is(tmp_path: Path) -> None:
    """However many key frames."""
    assert set(_sizes(write_images(tmp_path / "a.mp4", [four_colours()] * 6, encoder={"g": "1"}))) == {STORED}


def test_pictures_leave_memory_as_soon_as_nobody_has_them(tmp_path: Path) -> None:
    """Not when the garbage collector finds them: each may have megabytes, and it comes after hundreds of them."""
    path = write_images(tmp_path / "video.mp4", [four_colours()] * 6)
    gc.collect()
    gc.disable()
    try:
        sizes = _sizes(path)
        left = sum(type(one) is av.VideoFrame for one in gc.get_objects())
    finally:
        gc.enable()
    assert len(sizes) == 6
    assert left <= 1, "the decoder itself keeps an empty one"


def _remuxed(source: Path, path: Path) -> Path:
    with av.open(str(source)) as opened, av.open(str(path), "w") as container:
        stream = opened.streams.video[0]
        copy = container.add_stream_from_template(stream)
        for packet in opened.demux(stream):
            if packet.dts is not None:
                packet.stream = copy
                container.mux(packet)
    return path
