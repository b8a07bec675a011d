"""Still and animated pictures, by FFmpeg or else by Pillow."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ssa_stream.errors import SourceError
from ssa_stream.sources import FileSource
from tests.support.video_files import numbered_image, read_number

DURATIONS_MS = [100, 200, 50, 400]


def _animation(path: Path, **options: Any) -> Path:
    pictures = [Image.fromarray(numbered_image(number)) for number in range(4)]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=DURATIONS_MS, loop=0, **options)
    return path


@pytest.mark.parametrize("name", ["a.webp", "a.gif", "a.png", "a.avif"])
def test_animation_is_read_once_with_its_durations(tmp_path: Path, name: str) -> None:
    """FFmpeg cannot decode an animated WebP; Pillow can."""
    with FileSource(_animation(tmp_path / name)) as source:
        frames = list(source.frames())
    assert [read_number(frame.image) for frame in frames] == [0, 1, 2, 3]
    assert [frame.t for frame in frames] == pytest.approx([0, 0.1, 0.3, 0.35])
    assert source.warnings == ()


def test_animation_is_composited(tmp_path: Path) -> None:
    """A picture that only holds what changes comes whole; what is transparent is black."""
    first = Image.new("RGBA", (64, 48), (200, 0, 0, 255))
    second = Image.new("RGBA", (64, 48), (0, 0, 0, 0))
    second.paste((0, 0, 200, 255), (0, 0, 16, 16))
    first.save(tmp_path / "a.webp", save_all=True, append_images=[second], duration=100, lossless=True)
    with FileSource(tmp_path / "a.webp") as source:
        images = [frame.image for frame in source.frames()]
    assert images[0][40, 60].tolist() == [200, 0, 0]
    assert images[1][4, 4].tolist() == [0, 0, 200]
    assert images[1][40, 60].tolist() == [0, 0, 0]


@pytest.mark.parametrize("name", ["a.webp", "a.bmp", "a.png", "a.jp2", "a.avif", "a.ppm", "a.tga", "a.pcx"])
def test_still_picture_is_one_frame(tmp_path: Path, name: str) -> None:
    """Of any format that one of the two knows."""
    Image.fromarray(numbered_image(5)).save(tmp_path / name)
    with FileSource(tmp_path / name) as source:
        assert [read_number(frame.image) for frame in source.frames()] == [5]


@pytest.mark.parametrize("bitmap_format", ["png", "bmp"])
def test_icon_is_its_largest_picture_once(tmp_path: Path, bitmap_format: str) -> None:
    """Alone and in a sequence; it has no time, so none had to be repaired."""
    image = Image.fromarray(numbered_image(5, 64, 64))
    image.save(tmp_path / "1.ico", sizes=[(16, 16), (64, 64), (32, 32)], bitmap_format=bitmap_format)
    for name in ("1.ico", "%d.ico"):
        with FileSource(str(tmp_path / name)) as source:
            assert [(frame.size, read_number(frame.image)) for frame in source.frames()] == [((64, 64), 5)]
        assert source.warnings == ()


def test_picture_that_ffmpeg_cannot_decode_is_read_by_pillow(tmp_path: Path) -> None:
    """A TIFF of 32-bit integers."""
    Image.fromarray(numbered_image(6)).convert("L").convert("I").save(tmp_path / "a.tif")
    with FileSource(tmp_path / "a.tif") as source:
        assert [read_number(frame.image) for frame in source.frames()] == [6]


def test_cut_off_animation_says_so(tmp_path: Path) -> None:
    """With what is left of it, where that can be decoded at all."""
    for name in ("a.gif", "a.webp"):
        path = _animation(tmp_path / name)
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 5])
    with FileSource(tmp_path / "a.gif") as source:
        frames = list(source.frames())
    assert 0 < len(frames) < 4
    assert all(later.t > earlier.t for earlier, later in pairwise(frames))
    assert any("cut off" in warning for warning in source.warnings)
    with pytest.raises(SourceError, match="cut off"):
        FileSource(tmp_path / "a.webp")


def test_noise_is_no_picture(tmp_path: Path) -> None:
    """Pillow adds nothing to the error of FFmpeg."""
    (tmp_path / "a.webp").write_bytes(np.arange(999, dtype=np.uint8).tobytes())
    with pytest.raises(SourceError, match="no frame that can be decoded"):
        FileSource(tmp_path / "a.webp")


def _damaged(path: Path) -> Path:
    """A picture whose format holds, but whose data or fields make no sense: not an OSError for Pillow."""
    if path.suffix == ".avif":
        data = bytearray(_animation(path).read_bytes())
        start = data.index(b"mdat") + 4
        data[start:] = b"\xff" * (len(data) - start)
    else:
        pages = [Image.fromarray(numbered_image(number)).convert("L").convert("I") for number in (1, 2)]
        pages[0].save(path, save_all=True, append_images=pages[1:])
        data = bytearray(path.read_bytes())
        width_of_the_second = data.rindex(b"\x00\x01\x04\x00")
        data[width_of_the_second : width_of_the_second + 2] = b"\xf0\xff"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", ["a.avif", "a.tiff"])
def test_damaged_picture_raises_one_clear_error(tmp_path: Path, name: str) -> None:
    """Whatever Pillow makes of it: a RuntimeError of its AVIF reader, a TypeError of that for TIFF."""
    with pytest.raises(SourceError):
        FileSource(_damaged(tmp_path / name))


@pytest.mark.parametrize("name", ["2.avif", "2.tiff"])
def test_damaged_picture_of_a_sequence_is_skipped_and_named(tmp_path: Path, name: str) -> None:
    """Those before and after it come."""
    for number in (1, 3):
        Image.fromarray(numbered_image(number)).save((tmp_path / name).with_stem(str(number)))
    _damaged(tmp_path / name)
    with FileSource(str(tmp_path / f"%d{Path(name).suffix}")) as source:
        assert [read_number(frame.image) for frame in source.frames()] == [1, 3]
    assert source.warnings == (f"1 of 3 pictures are damaged: {name}",)
