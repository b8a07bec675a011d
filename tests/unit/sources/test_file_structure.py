"""A file that ends too early is told by its own sizes, and a whole one never is."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ssa_stream.sources.file_structure import shortfall
from tests.support.video_files import numbered_image, write_video

_FRAGMENTED = {"movflags": "frag_keyframe+empty_moov"}


def _write(path: Path, muxer: dict[str, str] | None) -> Path:
    if path.suffix in (".png", ".jpg", ".gif", ".webp", ".avif"):
        pictures = [Image.fromarray(numbered_image(number)) for number in range(4)]
        animation: dict[str, Any] = {"save_all": True, "append_images": pictures[1:]}
        if path.suffix == ".jpg":
            animation = {}
        pictures[0].save(path, **animation)
        return path
    return write_video(path, 60, muxer=muxer, encoder={"g": "10"}, codec="libx264")


@pytest.mark.parametrize(
    ("name", "muxer"),
    [
        ("a.mp4", {"movflags": "faststart"}),
        ("f.mp4", _FRAGMENTED),
        ("a.mov", None),
        ("a.mkv", None),
        ("live.mkv", {"live": "1"}),
        ("a.avi", None),
        ("a.flv", None),
        ("a.wmv", None),
        ("a.ts", None),
        ("a.mpg", None),
        ("a.png", None),
        ("a.jpg", None),
        ("a.gif", None),
        ("a.webp", None),
        ("a.avif", None),
    ],
)
def test_shortfall_is_told_of_a_cut_file_only(tmp_path: Path, name: str, muxer: dict[str, str] | None) -> None:
    """Cut in the middle, and close to the end."""
    path = _write(tmp_path / name, muxer)
    assert shortfall(path) == ""
    data = path.read_bytes()
    for length in (len(data) * 3 // 5, len(data) - 5):
        path.write_bytes(data[:length])
        assert shortfall(path), length


def test_shortfall_of_a_longer_or_unknown_file_is_none(tmp_path: Path) -> None:
    """Something may be appended to a picture; what no format describes tells nothing."""
    path = _write(tmp_path / "a.jpg", None)
    path.write_bytes(path.read_bytes() + b"something else")
    assert shortfall(path) == ""
    path.write_bytes(np.arange(999, dtype=np.uint8).tobytes())
    assert shortfall(path) is None
    assert shortfall(tmp_path / "missing") is None


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
@pytest.mark.parametrize("tail", [b"ID3\x04 and a title", bytes(5), b"#" * 300], ids=["tag", "zeros", "text"])
def test_bytes_behind_the_end_are_no_shortfall(tmp_path: Path, name: str, tail: bytes) -> None:
    """Tags and padding that some programs append."""
    path = write_video(tmp_path / name, 20)
    path.write_bytes(path.read_bytes() + tail)
    assert not shortfall(path)


def test_cut_off_ivf_is_told(tmp_path: Path) -> None:
    """Its frames have their lengths."""
    path = write_video(tmp_path / "a.ivf", 20, codec="libvpx", encoder={"deadline": "realtime"})
    assert shortfall(path) == ""
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert shortfall(path)
