"""Real encoded videos whose frames carry their own number, made at test time."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

__all__ = ["HEIGHT", "WIDTH", "numbered_image", "read_number", "write_audio", "write_video"]

HEIGHT, WIDTH = 48, 96
_BITS = 12


def numbered_image(number: int, height: int = HEIGHT, width: int = WIDTH) -> NDArray[np.uint8]:
    """Return a grey picture with `number` written in binary as columns, left column first."""
    image = np.full((height, width, 3), 128, dtype=np.uint8)
    for bit, (left, right) in enumerate(_columns(width)):
        image[:, left:right] = 230 if number >> bit & 1 else 25
    return image


def read_number(image: NDArray[np.uint8]) -> int:
    """Read the number off a picture that was encoded and decoded, at any scale."""
    middle = image[image.shape[0] // 4 : -image.shape[0] // 4]
    means = [float(middle[:, left + 1 : right - 1].mean()) for left, right in _columns(image.shape[1])]
    return sum(1 << bit for bit, mean in enumerate(means) if mean > 128)


def write_video(
    path: Path,
    numbers: Sequence[int] | int,
    *,
    times_ms: Sequence[int] | None = None,
    fps: int = 10,
    size: tuple[int, int] = (HEIGHT, WIDTH),
    codec: str = "libx264",
    rotation: float | None = None,
    muxer: Mapping[str, str] | None = None,
    encoder: Mapping[str, str] | None = None,
) -> Path:
    """Encode numbered pictures.

    Args:
        path: The ending chooses the container.
        numbers: What to write on the frames, or how many frames to number from 0.
        times_ms: Time of each frame; None spaces them evenly.
        fps: Nominal rate.
        size: Height and width.
        codec: Encoder.
        rotation: Degrees counterclockwise by which players shall turn the picture.
        muxer: FFmpeg options of the container.
        encoder: FFmpeg options of the encoder.
    """
    numbers = range(numbers) if isinstance(numbers, int) else numbers
    with av.open(str(path), "w", options=dict(muxer or {})) as container:
        stream = cast(VideoStream, container.add_stream(codec, rate=fps, options=dict(encoder or {"crf": "10"})))
        stream.height, stream.width = size
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        if times_ms is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if rotation is not None:
            stream.set_display_rotation(rotation)
        for position, number in enumerate(numbers):
            frame = av.VideoFrame.from_ndarray(numbered_image(number, *size), format="rgb24")
            if times_ms is not None:
                frame.pts, frame.time_base = times_ms[position], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_audio(path: Path) -> Path:
    """Encode half a second of silence."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), dtype=np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _columns(width: int) -> list[tuple[int, int]]:
    return [(bit * width // _BITS, (bit + 1) * width // _BITS) for bit in range(_BITS)]
