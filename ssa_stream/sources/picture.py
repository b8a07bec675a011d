"""The one place that makes pictures of decoded frames: upright, SDR, RGB, with the shape of their pixels.

The network sees them with square pixels: `ssa_stream.model.preprocess.frame_sizes` has the sizes for that, and the way
back to the picture's own pixels, which masks and boxes are given in.
"""

from fractions import Fraction
from typing import NamedTuple

import av
import numpy as np
from av import VideoFrame
from av.video.reformatter import ColorPrimaries, Colorspace, ColorTrc, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from ssa_stream.sources.filters import FilterChain
from ssa_stream.sources.orientation import Orientation, apply_display_matrix, is_quarter_turn

__all__ = ["PictureConverter", "RgbConverter", "StoredAspect", "UprightPicture"]

# RGB, BT.709, unspecified, FCC, BT.470BG, SMPTE 170M, SMPTE 240M, BT.2020 NCL; others are refused, such as YCgCo.
_KNOWN_MATRICES = frozenset({0, 1, 2, 4, 5, 6, 7, 9})
_HDR_TRANSFERS = frozenset({ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67})
_MOST_ASPECT = 16
_SQUARE = Fraction(1)


class UprightPicture(NamedTuple):
    """A picture as people see it.

    Attributes:
        image: `(H, W, 3)` uint8, RGB, SDR, upright.
        pixel_aspect: Width of its pixels divided by their height.
    """

    image: NDArray[np.uint8]
    pixel_aspect: Fraction


class RgbConverter:
    """Makes RGB of the decoded frames of one stream, in their stored orientation.

    HDR (PQ, HLG) and BT.2020 colours are brought to BT.709 by FFmpeg's filter `scale`, tone mapping included. It needs
    some seconds for the first such frame and milliseconds for each of the others. All other frames keep their numbers:
    only the matrix and range that they are tagged with are applied.
    """

    def __init__(self) -> None:
        self._warnings: dict[str, None] = {}  # in order, each once
        self._plain = VideoReformatter()
        self._to_sdr: FilterChain | None = FilterChain(
            [("scale", {"out_transfer": "bt709", "out_primaries": "bt709", "flags": "bilinear"}),
             ("format", {"pix_fmts": "rgb24"})]
        )  # fmt: skip

    @property
    def warnings(self) -> tuple[str, ...]:
        """What could not be converted as it should be."""
        return tuple(self._warnings)

    def rgb(self, decoded: VideoFrame) -> NDArray[np.uint8]:
        """Return the pixels, `(H, W, 3)` uint8."""
        tagged, matrix = decoded.colorspace, self._other_matrix(decoded)
        try:
            if matrix is not None:
                decoded.colorspace = matrix
            return self._converted(decoded)
        finally:
            decoded.colorspace = tagged

    def _converted(self, decoded: VideoFrame) -> NDArray[np.uint8]:
        if self._to_sdr is not None and _is_wide(decoded):
            try:
                return _pixels(self._to_sdr.apply(decoded))
            except av.FFmpegError:
                self._to_sdr = None
                self._warn(
                    f"its colours (transfer {decoded.color_trc}, primaries {decoded.color_primaries}) cannot be "
                    f"brought to SDR by this FFmpeg and look washed out: convert it to BT.709 first"
                )
        return _pixels(self._plain.reformat(decoded, format="rgb24"))

    def _other_matrix(self, decoded: VideoFrame) -> Colorspace | None:
        """The nearest matrix where FFmpeg's scaler refuses that of a frame; None where it knows it."""
        if decoded.colorspace in _KNOWN_MATRICES:
            return None
        matrix = Colorspace.BT2020 if _is_wide(decoded) else Colorspace.ITU709
        if not decoded.format.is_rgb and len(decoded.format.components) > 2:
            self._warn(
                f"its colour matrix (number {decoded.colorspace}) is not known to this FFmpeg, {matrix.name} is taken "
                f"for it and colours may be wrong: convert it to BT.709 first"
            )
        return matrix

    def _warn(self, text: str) -> None:
        self._warnings.setdefault(text)


class PictureConverter:
    """Makes upright SDR RGB pictures of the decoded frames of one stream.

    Args:
        stand_alone: See `Orientation`.
    """

    def __init__(self, *, stand_alone: bool = False) -> None:
        self._colours = RgbConverter()
        self._orientation = Orientation(stand_alone=stand_alone)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What could not be converted as it should be."""
        return self._colours.warnings

    def convert(self, decoded: VideoFrame, stored_aspect: Fraction = _SQUARE) -> UprightPicture:
        """Convert the next frame of the stream.

        Args:
            decoded: The frame.
            stored_aspect: Width of its stored pixels divided by their height.
        """
        image, matrix = self._colours.rgb(decoded), self._orientation.take(decoded)
        if matrix is not None:
            image = apply_display_matrix(image, matrix)
            if is_quarter_turn(matrix):
                stored_aspect = 1 / stored_aspect
        return UprightPicture(np.ascontiguousarray(image), stored_aspect)

    def pass_over(self, decoded: VideoFrame) -> None:
        """Take note of the next frame of the stream, whose picture nobody wants: the ones after it may need it."""
        self._orientation.take(decoded)


class StoredAspect:
    """The shape of a stream's stored pixels, as its container says it, or else its codec.

    A codec may change it on the way, as broadcasts do between 4:3 and 16:9; then the codec is right. What it says is
    that of the packets it was given, which are ahead of the frames that come out of it: a change takes effect with the
    next key frame that comes out, or with the next size.

    Args:
        stream: Of an open container.
    """

    def __init__(self, stream: VideoStream) -> None:
        self._codec = stream.codec_context
        self._declared = stream.sample_aspect_ratio or None
        self._first_of_codec = self._codec.sample_aspect_ratio or None
        self._size = (0, 0)
        self._now = self._newest()

    @property
    def now(self) -> Fraction:
        """Width of a pixel divided by its height, for the frame taken last; 1 where unknown or beyond 1/16..16."""
        return self._now

    def changes_with(self, decoded: VideoFrame) -> bool:
        """Whether it is another one from the next frame on."""
        may_change = decoded.key_frame or self._size != (decoded.width, decoded.height)
        return may_change and self._newest() != self._now

    def take(self, decoded: VideoFrame) -> None:
        """Take note of the next frame, in the order in which they come out of the decoder."""
        if self.changes_with(decoded):
            self._now = self._newest()
        self._size = decoded.width, decoded.height

    def _newest(self) -> Fraction:
        """What is said of the packet that was decoded last."""
        codec = self._codec.sample_aspect_ratio or None
        self._first_of_codec = self._first_of_codec or codec
        is_changed = codec is not None and codec != self._first_of_codec
        aspect = codec if is_changed else self._declared or codec
        return aspect if aspect is not None and Fraction(1, _MOST_ASPECT) <= aspect <= _MOST_ASPECT else _SQUARE


def _is_wide(decoded: VideoFrame) -> bool:
    """Whether a frame has more brightness or colours than SDR RGB has numbers for."""
    return decoded.color_trc in _HDR_TRANSFERS or decoded.color_primaries == ColorPrimaries.BT2020


def _pixels(rgb: VideoFrame) -> NDArray[np.uint8]:
    return np.asarray(rgb.to_ndarray(), dtype=np.uint8)
