"""JPEG pictures of mask messages, decoded with what is installed: the base installation decodes none."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssa_stream.errors import MessageError, MissingExtraError

__all__ = ["decode_jpeg"]

_MOST_PIXELS = 178_956_970
"""Pillow refuses more than that as an attack; three bytes each."""
_START, _FILL = b"\xff\xd8", 0xFF
# Markers that begin with C, but say no size: Huffman tables, arithmetic coding, an extension.
_NO_SIZE = (0xC4, 0xC8, 0xCC)


def decode_jpeg(data: bytes, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Decode a picture with Pillow, or with OpenCV where there is no Pillow.

    Args:
        data: The JPEG file.
        size: Height and width that it must have; compared before memory is taken for it.
    Returns:
        `(H, W, 3)` uint8, RGB.
    Raises:
        MessageError: It is no JPEG, damaged, of another size, or of more than 178,956,970 pixels.
        MissingExtraError: Neither library is installed.
    """
    if (found := _size_of(data)) != size:
        what = "no readable JPEG" if found is None else f"a JPEG of {found[1]}x{found[0]} pixels"
        raise MessageError(f"the picture of a mask message is {what}; expected {size[1]}x{size[0]} pixels")
    if size[0] * size[1] > _MOST_PIXELS:
        raise MessageError(
            f"the picture of a mask message has {size[1]}x{size[0]} pixels; expected at most {_MOST_PIXELS:,} in all"
        )
    decoded = _by_pillow(data)
    if decoded is None:
        decoded = _by_opencv(data)
    if decoded.shape != (*size, 3):
        raise MessageError(f"the picture of a mask message decodes to {decoded.shape}; expected {(*size, 3)}")
    return np.asarray(decoded, dtype=np.uint8)


def _by_pillow(data: bytes) -> NDArray[Any] | None:
    try:
        from PIL.JpegImagePlugin import JpegImageFile
    except ImportError:
        return None
    try:
        with JpegImageFile(io.BytesIO(data)) as image:  # Image.open warns of sizes that are within our limit
            return np.array(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow raises for damaged files
        raise _damaged(error) from error


def _by_opencv(data: bytes) -> NDArray[Any]:
    try:
        import cv2
    except ImportError as error:
        raise MissingExtraError(
            "no library that decodes JPEG is installed: install pillow or opencv-python-headless, or take the file as "
            "it came (view.picture_jpeg)"
        ) from error
    try:
        decoded = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise _damaged(error) from error
    if decoded is None:
        raise _damaged("OpenCV cannot read it")
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB))


def _damaged(reason: object) -> MessageError:
    return MessageError(f"the picture of a mask message is damaged: {reason}")


def _size_of(data: bytes) -> tuple[int, int] | None:
    """Height and width as a JPEG file's head says; None if it does not.

    Source: ITU-T T.81, B.1.1.4 and B.2.2: segments of a marker, a length that includes itself, and content.
    """
    at = len(_START)
    while data[: len(_START)] == _START and at + 9 <= len(data) and data[at] == _FILL:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4])
        if marker == _FILL:
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in _NO_SIZE:
            return int.from_bytes(data[at + 5 : at + 7]), int.from_bytes(data[at + 7 : at + 9])
        else:
            at += 2 + length
    return None
