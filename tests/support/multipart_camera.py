"""A web camera that sends JPEG pictures as parts of one answer, some of them damaged."""

import os
import time
from collections.abc import Callable, Mapping

import cv2

from tests.support.http_server import HttpRequest
from tests.support.video_files import HEIGHT, WIDTH, numbered_image

__all__ = ["DAMAGES", "jpeg", "multipart_camera"]

_BOUNDARY = b"--frame\r\n"


def jpeg(number: int, size: tuple[int, int] = (HEIGHT, WIDTH)) -> bytes:
    """A numbered picture of that height and width as JPEG."""
    return cv2.imencode(".jpg", numbered_image(number, *size))[1].tobytes()


def _part(picture: bytes, *, content_type: str = "image/jpeg", length: int | None = None) -> bytes:
    size = len(picture) if length is None else length
    head = f"Content-Type: {content_type}\r\nContent-Length: {size}\r\n\r\n".encode()
    return _BOUNDARY + head + picture + b"\r\n"


DAMAGES: Mapping[str, Callable[[bytes], bytes]] = {
    "bad data": lambda picture: _part(os.urandom(len(picture))),
    "half a picture": lambda picture: _part(picture[: len(picture) // 2]),
    "length too large": lambda picture: _part(picture, length=len(picture) + 50),
    "length too small": lambda picture: _part(picture, length=len(picture) - 50),
    "no header": lambda picture: _BOUNDARY + b"\r\n" + picture + b"\r\n",
    "another content": lambda _: _part(b"the camera is busy", content_type="text/plain"),
    "empty": lambda _: _part(b""),
    "garbage after it": lambda picture: _part(picture) + b"garbage\r\n\x00\xff more of it\r\n",
}
"""Parts that are wrong, made of the picture that belongs there."""


def multipart_camera(
    count: int,
    damage: str | None = None,
    *,
    every: int = 10,
    first: int = 5,
    interval_s: float = 0.02,
    size: tuple[int, int] = (HEIGHT, WIDTH),
) -> Callable[[HttpRequest], None]:
    """An answer of `count` numbered pictures, of which every tenth is damaged."""

    def answer(request: HttpRequest) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        request.end_headers()
        for number in range(count):
            is_damaged = damage is not None and number % every == first
            picture = jpeg(number, size)
            request.wfile.write(DAMAGES[damage or ""](picture) if is_damaged else _part(picture))
            time.sleep(interval_s)

    return answer
