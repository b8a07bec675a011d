"""The shape of pixels, read from files and streams as they come."""

from fractions import Fraction
from pathlib import Path

import pytest

from ssa_stream.sources import FileSource, Frame
from tests.support.picture_files import four_colours, write_images
from tests.support.video_files import write_video


def _frames(path: Path) -> list[Frame]:
    with FileSource(path) as source:
        return list(source.frames())


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".ts", ".mov"])
def test_pixel_aspect_is_that_of_the_file(tmp_path: Path, ending: str) -> None:
    """Whether container or codec has it; the image has the stored pixels."""
    frames = _frames(write_images(tmp_path / f"a{ending}", [four_colours()] * 12, pixel_aspect=Fraction(64, 45)))
    assert {(frame.pixel_aspect, frame.size) for frame in frames} == {(Fraction(64, 45), (24, 40))}


def test_pixel_aspect_that_changes_on_the_way_begins_an_epoch(tmp_path: Path) -> None:
    """A broadcast: only the codec says so. What was seen before does not go on."""
    encoder = {"crf": "12", "tune": "zerolatency"}
    parts = [
        write_images(tmp_path / f"{n}.ts", [four_colours()] * 5, pixel_aspect=aspect, encoder=encoder).read_bytes()
        for n, aspect in enumerate((Fraction(16, 15), Fraction(64, 45), Fraction(16, 15)))
    ]
    path = tmp_path / "all.ts"
    path.write_bytes(b"".join(parts))
    frames = _frames(path)
    assert len(frames) >= 13
    changes = [(frame.epoch, frame.pixel_aspect) for frame in frames if not frame.seq]
    assert changes == [(0, Fraction(16, 15)), (1, Fraction(64, 45)), (2, Fraction(16, 15))]
    first_of_second = next(frame for frame in frames if frame.epoch == 1)
    assert not first_of_second.continues(frames[0])


@pytest.mark.parametrize("size_between", [(24, 40), (48, 64)], ids=["one-size", "another-size"])
def test_pixel_aspect_changes_with_its_own_frame_although_the_decoder_is_ahead(
    tmp_path: Path, size_between: tuple[int, int]
) -> None:
    """B-frames: the codec has the next aspect while frames with the old one are still to come out."""
    wide, narrow = Fraction(4, 3), Fraction(16, 11)
    parts = [((24, 40), wide), (size_between, narrow), ((24, 40), wide)]
    data = [
        write_images(
            tmp_path / f"{n}.h264",
            [four_colours(*size)] * 20,
            pixel_aspect=aspect,
            encoder={"bf": "3", "b_strategy": "0"},
        ).read_bytes()
        for n, (size, aspect) in enumerate(parts)
    ]
    path = tmp_path / "all.h264"
    path.write_bytes(b"".join(data))
    frames = _frames(path)
    assert [(frame.size, frame.pixel_aspect, frame.epoch) for frame in frames] == [
        (*part, epoch) for epoch, part in enumerate(parts) for _ in range(20)
    ]


def test_pixel_aspect_of_ordinary_video_is_one(tmp_path: Path) -> None:
    """Where nothing is said."""
    assert {frame.pixel_aspect for frame in _frames(write_video(tmp_path / "a.mp4", 2))} == {Fraction(1)}
