"""Grey PNG files decoded fast: the same pixels as OpenCV's, or left to it."""

import struct
import sys
import zlib

import cv2
import numpy as np
import pytest

from ssa_stream.evaluation.score import grey_png
from ssa_stream.evaluation.score.grey_png import decode_grey_png, load_fast_decoding
from tests.support.data_sets import DATA_SETS

pytestmark = pytest.mark.usefixtures("loaded")

RANDOM = np.random.default_rng(0)


@pytest.fixture(scope="module")
def loaded() -> None:
    """Numba is there, and its code."""
    load_fast_decoding()


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(filters: list[int], differences: np.ndarray, head: bytes = b"\x08\0\0\0\0", cut: int = 0) -> bytes:
    """A file of rows as they are after filtering; `cut` bytes of the packed pixels are left out."""
    height, width = differences.shape
    rows = b"".join(bytes([kind]) + line.tobytes() for kind, line in zip(filters, differences, strict=True))
    packed = zlib.compress(rows)
    chunks = (
        (b"IHDR", struct.pack(">II", width, height) + head),
        (b"IDAT", packed[:10]),
        (b"IDAT", packed[10 : len(packed) - cut]),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*one) for one in chunks)


def _with_orientation(content: bytes) -> bytes:
    """The file with a chunk after its head that may say how the picture is turned."""
    return content[:33] + chunk(b"eXIf", b"II*\0\x08\0\0\0\0\0") + content[33:]


def by_opencv(content: bytes) -> np.ndarray:
    """What the published scorers see."""
    return np.asarray(cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE))


@pytest.mark.parametrize("density", [0.0, 0.03, 1.0])
@pytest.mark.parametrize("kinds", [[0], [1], [2], [3], [4], [0, 1, 2, 3, 4]])
def test_every_filter_gives_opencvs_pixels(kinds: list[int], density: float) -> None:
    """Sparse, as masks are, and dense; the first row has nothing above it."""
    shape = (40, 57)
    differences = RANDOM.integers(0, 256, shape).astype(np.uint8) * (RANDOM.random(shape) < density).astype(np.uint8)
    for first in (0, 3, 4, 2):  # what is above an average or Paeth row is no constant
        filters = [first, *RANDOM.choice(kinds, shape[0] - 1).tolist()]
        content = png(filters, differences)
        decoded = decode_grey_png(content)
        assert decoded is not None
        assert np.array_equal(decoded, by_opencv(content))


def test_masks_as_libraries_write_them_are_decoded_alike() -> None:
    """All stored answers, and what OpenCV writes."""
    paths = sorted((DATA_SETS / "mevis/predictions").rglob("*.png"))
    contents = [path.read_bytes() for path in paths]
    contents += [cv2.imencode(".png", by_opencv(content))[1].tobytes() for content in contents[:20]]
    found = [(decode_grey_png(content), by_opencv(content)) for content in contents]
    assert all(np.array_equal(ours, theirs) for ours, theirs in found if ours is not None)
    assert sum(ours is not None for ours, _ in found) > len(paths) / 2


@pytest.mark.parametrize(
    "content",
    [
        b"",
        png([0], np.zeros((1, 9), np.uint8), head=b"\x08\x02\0\0\0"),  # colours
        png([0], np.zeros((1, 9), np.uint8), head=b"\x08\0\0\0\1"),  # interlaced
        png([5], np.zeros((1, 9), np.uint8)),
        png([0, 0], RANDOM.integers(0, 256, (2, 99)).astype(np.uint8), cut=20),
        png([0], np.zeros((1, 9), np.uint8)).replace(b"IDAT", b"IDAX", 1),
        png([0], np.zeros((1, 9), np.uint8))[:-12],
        png([0] * 5, np.zeros((5, 9), np.uint8)).replace(struct.pack(">II", 9, 5), struct.pack(">II", 9, 4)),
        png([0], np.zeros((1, 9), np.uint8)).replace(b"IEND", chunk(b"tRNS", b"\0\0") + b"IEND"),
        _with_orientation(png([0] * 5, np.zeros((5, 9), np.uint8))),
    ],
)
def test_anything_else_is_left_to_opencv(content: bytes) -> None:
    """Other forms, and what is broken: checksums, lengths, filters."""
    assert decode_grey_png(content) is None


def test_everything_is_left_to_opencv_without_fast_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it is loaded, and where numba is not installed."""
    content = png([0, 2], np.full((2, 3), 255, np.uint8))
    assert decode_grey_png(content) is not None
    monkeypatch.setattr(grey_png, "_undo_filters", None)
    assert decode_grey_png(content) is None
    monkeypatch.setitem(sys.modules, "ssa_stream.evaluation.score.png_filters", None)
    load_fast_decoding()
    assert decode_grey_png(content) is None
