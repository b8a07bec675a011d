"""The picture that masks were made of, as a subscriber gets it."""

import io
import sys
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ssa_stream.client import MaskView
from ssa_stream.client.pictures import decode_jpeg
from ssa_stream.errors import MessageError, MissingExtraError
from ssa_stream.nodes.masks.pictures import jpeg_picture
from ssa_stream.nodes.pipeline import MasksSection
from ssa_stream.protocols import EncodedPicture, Topic, encode
from tests.support.mask_messages import circle, mask_message, mask_parts, mask_view

LEFT_RED = np.zeros((36, 64, 3), dtype=np.uint8)
LEFT_RED[:, :32, 0] = 250
SECTION = MasksSection(picture="jpeg", picture_quality=95)


def _view(data: bytes, size: tuple[int, int] = (36, 64), **fields: Any) -> MaskView:
    message, buffers = mask_message([circle()], picture=EncodedPicture(buffer=1, size=size, **fields))
    assert buffers.add_bytes(data) == 1
    return mask_view(encode(message, buffers, topic=Topic("cam0", "masks", "p1")))


def _without(patch: pytest.MonkeyPatch, *libraries: str) -> None:
    for name in libraries:
        patch.setitem(sys.modules, name, None)


@pytest.mark.parametrize("missing", [["cv2"], ["PIL", "PIL.JpegImagePlugin"]], ids=["Pillow", "OpenCV"])
def test_picture_is_the_one_that_was_sent(missing: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """In RGB, whichever library decodes it; and it may be drawn on."""
    view = _view(jpeg_picture(LEFT_RED, SECTION).data)
    _without(monkeypatch, *missing)
    picture = view.picture()
    assert picture is not None
    assert picture.dtype == np.uint8
    assert np.abs(picture.astype(int) - LEFT_RED)[:, np.r_[:28, 36:64]].max() < 12
    picture[:] = 0


def test_picture_without_a_library_is_left_as_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to do."""
    data = jpeg_picture(LEFT_RED, SECTION).data
    view = _view(data)
    _without(monkeypatch, "PIL", "PIL.JpegImagePlugin", "cv2")
    assert view.picture_jpeg == data
    with pytest.raises(MissingExtraError, match=r"install pillow or opencv-python-headless, or take .* \(view.picture"):
        view.picture()


def test_message_without_picture_has_none() -> None:
    """Neither has one whose format only a later version knows."""
    for view in (mask_view(mask_parts()), _view(b"?", encoding="jpeg2000")):
        assert view.picture_jpeg is None
        assert view.picture() is None


@pytest.mark.parametrize(
    ("data", "size", "complaint"),
    [
        (b"", (36, 64), "no readable JPEG; expected 64x36 pixels"),
        (b"\xff\xd8\xff\xe0\xff\xff" + bytes(99), (36, 64), "no readable JPEG"),
        (jpeg_picture(LEFT_RED, SECTION).data, (36, 65), "a JPEG of 64x36 pixels; expected 65x36"),
        (jpeg_picture(LEFT_RED, SECTION).data[:400], (36, 64), "damaged"),
    ],
    ids=["nothing", "garbage", "size", "cut"],
)
def test_damaged_picture_is_an_error(data: bytes, size: tuple[int, int], complaint: str) -> None:
    """When it is asked for; masks are there all the same."""
    view = _view(data, size)
    assert view.mask(view.tracks[0]).any()
    with pytest.raises(MessageError, match=complaint):
        view.picture()


def _says_size(height: int, width: int) -> bytes:
    """A JPEG file whose head says another size than its content has."""
    data = jpeg_picture(LEFT_RED, SECTION).data
    own = (36).to_bytes(2) + (64).to_bytes(2)
    assert data.count(own) == 1
    return data.replace(own, height.to_bytes(2) + width.to_bytes(2))


@pytest.mark.parametrize("missing", [["cv2"], ["PIL", "PIL.JpegImagePlugin"]], ids=["Pillow", "OpenCV"])
def test_huge_picture_is_refused_before_it_is_decoded(missing: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """By either library with the same error; a few bytes of a stranger must not take gigabytes."""
    _without(monkeypatch, *missing)
    with pytest.raises(MessageError, match=r"has 32768x32768 pixels; expected at most 178,956,970 in all"):
        decode_jpeg(_says_size(32768, 32768), (32768, 32768))


@pytest.mark.filterwarnings("error")
def test_picture_that_only_pillow_calls_large_gives_no_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client's log is not the place for it."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 36 * 64 - 1)
    assert _view(jpeg_picture(LEFT_RED, SECTION).data).picture() is not None


@pytest.mark.parametrize(("long_edge_px", "size"), [(None, (36, 64)), (64, (36, 64)), (32, (18, 32)), (1000, (36, 64))])
def test_sent_picture_is_no_larger_than_asked(long_edge_px: int | None, size: tuple[int, int]) -> None:
    """Proportions stay, and smaller ones are not made larger."""
    picture = jpeg_picture(LEFT_RED, MasksSection(picture="jpeg", picture_long_edge_px=long_edge_px))
    assert picture.size == size
    with Image.open(io.BytesIO(picture.data)) as image:
        assert (image.format, image.height, image.width) == ("JPEG", *size)


def test_quality_is_the_one_of_the_settings() -> None:
    """Less of it is smaller."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    lengths = [len(jpeg_picture(noise, MasksSection(picture="jpeg", picture_quality=q)).data) for q in (20, 80)]
    assert lengths[0] * 2 < lengths[1]
