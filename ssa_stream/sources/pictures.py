"""Still pictures, and animated ones that FFmpeg cannot decode."""

import warnings
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av import VideoFrame
from av.container import InputContainer
from PIL import Image, ImageOps

from ssa_stream.errors import SourceError, SourceErrorCode
from ssa_stream.picture_limits import USUAL_LIMITS, PictureLimits
from ssa_stream.sources.container import ContainerReader
from ssa_stream.sources.conversion import NO_JOINTS, Joints
from ssa_stream.sources.file_structure import shortfall
from ssa_stream.sources.png_text import require_small_text
from ssa_stream.sources.presentation import holds_no_times
from ssa_stream.sources.recording import Decoded, Delivered
from ssa_stream.sources.size_guard import decoder_options, too_large
from ssa_stream.sources.stream_choice import choose_video_stream

__all__ = ["Animation", "Still", "is_animated_webp", "is_video", "read_still"]

_MILLISECOND = Fraction(1, 1000)
# Browsers show a picture without a duration, or with one that cannot be meant, for so long.
_SHORTEST_MS, _DEFAULT_MS = 10, 100
_WEBP_ANIMATED = 0x02


def is_animated_webp(path: Path) -> bool:
    """Whether it is a WebP file with more than one picture, of which FFmpeg decodes none."""
    try:
        with path.open("rb") as file:
            head = file.read(21)
    except OSError:
        return False
    is_extended = head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and len(head) == 21
    return is_extended and bool(head[20] & _WEBP_ANIMATED)


class Still(NamedTuple):
    """A picture of a file of its own.

    Attributes:
        picture: As it came out of the decoder.
        pixel_aspect: Width of its stored pixels divided by their height, by the density that the file says.
    """

    picture: VideoFrame
    pixel_aspect: Fraction


def read_still(path: Path, limits: PictureLimits = USUAL_LIMITS) -> Still:
    """Read one picture: with FFmpeg, else with Pillow, which knows more formats.

    Raises:
        SourceError: Neither can, or it is too large.
    """
    require_small_text(path)
    try:
        with _opened(path, limits) as container:
            if holds_no_times(container.format.name):
                reader = ContainerReader(container, str(path), limits=limits)
                picture = next((pictures[0] for pictures in reader.decode() if pictures), None)
                if picture is not None:
                    return Still(picture, reader.stored_aspect())
                if reader.sizes.problem is not None:
                    raise too_large(str(path), reader.sizes.problem)
    except SourceError as error:
        if error.code is SourceErrorCode.TOO_LARGE:
            raise
    except Exception:  # of FFmpeg, its bindings or ours; Pillow knows other formats, and says what is wrong otherwise
        pass
    with Animation(path, str(path), limits) as pictures:
        decoded = next(pictures.decode(), None)
    if decoded is None:
        raise SourceError(f"{path} holds no picture that can be read", SourceErrorCode.UNREADABLE)
    return Still(decoded.picture, pictures.stored_aspect)


def is_video(path: Path, limits: PictureLimits = USUAL_LIMITS) -> bool:
    """Whether a file that is no picture is a video that can be read."""
    try:
        with _opened(path, limits) as container:
            stream = choose_video_stream(container, str(path))
            return not holds_no_times(container.format.name) and next(container.decode(stream), None) is not None
    except Exception:  # of FFmpeg, its bindings or ours: then it is none
        return False


def _opened(path: Path, limits: PictureLimits) -> InputContainer:
    options = {"pattern_type": "none", **decoder_options(limits)}
    return av.open(f"file:{path}", options=options)


_FORMATS = frozenset(
    "AVIF BMP DDS DIB GIF ICNS ICO JPEG JPEG2000 MPO PCX PNG PPM PSD QOI SGI TGA TIFF WEBP XBM XPM".split()
)
"""Pillow goes by content, not by name, and for some formats (EPS) it runs another program."""


def _open_picture(path: Path) -> Image.Image:
    """Open a picture of one of these formats, as far as this Pillow has them."""
    Image.init()
    return Image.open(path, formats=sorted(_FORMATS & Image.OPEN.keys()))


class Animation:
    """Reads the pictures of a file with Pillow: a still one, or an animation with its durations."""

    def __init__(self, path: Path, name: str, limits: PictureLimits = USUAL_LIMITS) -> None:
        """Open it.

        Raises:
            SourceError: Pillow does not know its format, it is damaged, or too large to be meant.
        """
        self.warnings: list[str] = []
        self.corrupt_packets = 0
        self._name, self._limits = name, limits
        self._closed = False
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)
                warnings.simplefilter("ignore", UserWarning)  # of damaged fields: what cannot be read is told by us
                self._image = _open_picture(path)
        except Image.DecompressionBombError as error:
            raise too_large(name, str(error)) from None
        except Exception as error:  # each of Pillow's formats has errors of its own for data that makes no sense
            raise _cannot_open(path, name, error) from None
        self._require_small()
        try:
            self._count: int = getattr(self._image, "n_frames", 1)
        except Exception as error:  # each of Pillow's formats has errors of its own, see above
            self._image.close()
            raise _cannot_open(path, name, error) from None

    def __enter__(self) -> "Animation":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._image.close()

    @property
    def fps(self) -> float | None:
        """Its pictures are shown for times of their own."""
        return None

    @property
    def frame_count(self) -> int | None:
        """Pictures in the file."""
        return self._count

    @property
    def joints(self) -> Joints:
        """None: their times are counted."""
        return NO_JOINTS

    @property
    def stored_aspect(self) -> Fraction:
        """Their pixels are square."""
        return Fraction(1)

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    @property
    def damage(self) -> list[str]:
        """What could not be read so far."""
        return [f"{self.corrupt_packets} pictures of the animation could not be read"] if self.corrupt_packets else []

    @property
    def is_readable(self) -> bool:
        """Whether its first picture can be decoded; if not, the file is closed."""
        try:
            self._image.load()
        except Exception:  # of the format, see above
            self._image.close()
            return False
        return True

    def decode(self) -> Iterator[Decoded]:
        """Yield its pictures, composited: each as a viewer shows it, transparent parts black."""
        at_ms = 0
        for number in range(self._count):
            if self._closed:
                break
            try:
                self._image.seek(number)
                self._require_small()
                picture = VideoFrame.from_ndarray(_pixels(self._image), format="rgb24")
            except SourceError:
                raise
            except Exception as error:  # of the format, see above
                self.corrupt_packets += 1
                self.warnings.append(f"picture {number} and those after it could not be read ({type(error).__name__})")
                break
            duration_ms = round(self._image.info.get("duration") or 0)
            picture.pts, picture.time_base = at_ms, _MILLISECOND
            at_ms += duration_ms if duration_ms >= _SHORTEST_MS else _DEFAULT_MS
            yield Decoded(picture)
        self._image.close()

    def compare(self, delivered: Delivered) -> None:
        """Add what is missing to `warnings`."""
        if delivered.frames < self._count:
            self.warnings.append(
                f"it is cut off or damaged: {self._count - delivered.frames} of {self._count} pictures are missing"
            )

    def close(self) -> None:
        """Stop reading."""
        self._closed = True

    def _require_small(self) -> None:
        problem = self._limits.problem(*self._image.size)
        if problem is not None:
            self._image.close()
            raise too_large(self._name, problem)


def _cannot_open(path: Path, name: str, error: Exception) -> SourceError:
    cut = shortfall(path)
    why = f"it is cut off, {cut}" if cut else f"it is no picture that can be read ({type(error).__name__})"
    return SourceError(f"cannot open {name}: {why}", SourceErrorCode.UNREADABLE)


def _pixels(image: Image.Image) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    upright = ImageOps.exif_transpose(image)
    if upright.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in upright.info:
        solid = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", solid.size, (0, 0, 0, 255)), solid)
    elif upright.mode.startswith(("I;16", "I", "F")):
        levels = np.asarray(upright, dtype=np.float64)
        scale = 255 / max(1.0, 65_535.0 if levels.max(initial=0) > 255 else 255.0)
        upright = Image.fromarray((levels * scale).clip(0, 255).astype(np.uint8))
    return np.ascontiguousarray(upright.convert("RGB"), dtype=np.uint8)
