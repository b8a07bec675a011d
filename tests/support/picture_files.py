"""Videos of given pictures, tagged as cameras, phones and broadcasts tag theirs; made at test time."""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.bitstream import BitStreamFilterContext
from av.video.reformatter import ColorPrimaries, ColorTrc, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

__all__ = ["add_orientation", "encode_frames", "four_colours", "hdr_frame", "write_images"]

Image = NDArray[np.uint8]

# BT.709 to BT.2020, both linear (ITU-R BT.2087).
_TO_BT2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
_SDR_WHITE_NITS = 203.0  # ITU-R BT.2408


def four_colours(height: int = 24, width: int = 40) -> Image:
    """A picture that looks different in each of the eight orientations."""
    image = np.empty((height, width, 3), dtype=np.uint8)
    top, left = height // 2, width // 2
    image[:top, :left], image[:top, left:] = (230, 30, 30), (30, 200, 30)
    image[top:, :left], image[top:, left:] = (30, 30, 220), (220, 220, 60)
    return image


def write_images(
    path: Path,
    images: Iterable[Image],
    *,
    fps: int = 30,
    codec: str = "libx264",
    encoder: Mapping[str, str] | None = None,
    pixel_aspect: Fraction | None = None,
) -> Path:
    """Encode pictures of one size.

    Args:
        path: The ending chooses the container.
        images: `(H, W, 3)` uint8 RGB each.
        fps: Rate.
        codec: Encoder.
        encoder: FFmpeg options of the encoder.
        pixel_aspect: Width of a pixel divided by its height, for container and codec.
    """
    with av.open(str(path), "w") as container:
        stream = cast(VideoStream, container.add_stream(codec, rate=fps, options=dict(encoder or {"crf": "12"})))
        stream.pix_fmt = "yuv420p"
        for number, image in enumerate(images):
            if not number:
                stream.height, stream.width = image.shape[:2]
                if pixel_aspect is not None:
                    stream.codec_context.sample_aspect_ratio = pixel_aspect
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def add_orientation(source: Path, path: Path, *, rotate: int) -> Path:
    """Copy H.264 video and add an orientation message (SEI) to pictures that come with their parameter sets.

    Args:
        source: Video. In a transport stream every key frame has parameter sets, in .mp4 and .mkv only the first one
            is taken to have.
        path: Where the copy goes.
        rotate: Degrees counterclockwise by which players shall turn the picture.
    """
    with av.open(str(source)) as opened, av.open(str(path), "w") as container:
        stream = opened.streams.video[0]
        copy = container.add_stream_from_template(stream)
        add = BitStreamFilterContext(f"h264_metadata=display_orientation=insert:rotate={rotate}", stream, copy)
        for packet in opened.demux(stream):
            for changed in add.filter(packet if packet.dts is not None else None):
                changed.stream = copy
                container.mux(changed)
    return path


def hdr_frame(image: Image, transfer: ColorTrc) -> av.VideoFrame:
    """An SDR picture as an HDR camera would have taken it: 10 bits, BT.2020.

    Args:
        image: `(H, W, 3)` uint8 RGB; its white gets 203 cd/m2.
        transfer: PQ (`SMPTE2084`) or HLG (`ARIB_STD_B67`).
    """
    coded = image / 255.0
    linear = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4) @ _TO_BT2020.T
    linear = np.clip(linear, 0, None)
    signal = _pq(linear) if transfer is ColorTrc.SMPTE2084 else _hlg(linear)
    words = (signal * 65535).round().astype(np.uint16)
    frame = av.VideoFrame.from_ndarray(words, format="rgb48le")
    made = VideoReformatter().reformat(
        frame, format="yuv420p10le", dst_colorspace=9, dst_color_range=1, src_color_range=2
    )
    made.colorspace, made.color_range = 9, 1
    made.color_trc, made.color_primaries = transfer, ColorPrimaries.BT2020
    return made


def encode_frames(path: Path, frames: Sequence[av.VideoFrame], *, x265: str = "", fps: int = 30) -> Path:
    """Encode HDR frames as HEVC, with their tags; `x265` are further parameters of the encoder."""
    with av.open(str(path), "w") as container:
        options = {"x265-params": f"log-level=none:{x265}".rstrip(":")}
        stream = container.add_stream("libx265", rate=fps, options=options)
        stream.height, stream.width, stream.pix_fmt = frames[0].height, frames[0].width, frames[0].format.name
        context = stream.codec_context
        context.colorspace, context.color_range = frames[0].colorspace, frames[0].color_range
        context.color_trc, context.color_primaries = frames[0].color_trc, frames[0].color_primaries
        for frame in frames:
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _pq(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    """SMPTE ST 2084."""
    power = (linear * _SDR_WHITE_NITS / 10_000) ** 0.1593017578125
    return np.asarray(((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375)


def _hlg(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    """ARIB STD-B67, inverse of the display's gamma 1.2 included; diffuse white is at 75 %."""
    scene = (linear * _SDR_WHITE_NITS / 1000) ** (1 / 1.2)
    upper = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.clip(np.where(scene <= 1 / 12, np.sqrt(3 * scene), upper), 0, 1)
