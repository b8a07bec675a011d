"""Frames of MP4 clips by their number: decoded forwards, the last clip's kept.

A clip is decoded from its first frame on for every call: numbers are exact then, whatever its key frames and times are.
No file stays open between calls, so that a reader may be copied into other processes.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from ssa_stream.data.reading import expect_to_fit
from ssa_stream.errors import ConfigError
from ssa_stream.files import open_ordinary
from ssa_stream.picture_limits import USUAL_LIMITS

__all__ = ["ClipFrames"]

_MOST_KEPT_BYTES: Final = 256 * 2**20
_MOST_PIXELS: Final = USUAL_LIMITS.area_px + 128 * USUAL_LIMITS.edge_px
"""Decoders count whole blocks, of up to 128 pixels."""


class ClipFrames:
    """Reads frames of clips; those of the clip that was read last are kept, up to 256 MiB."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._kept: dict[int, npt.NDArray[np.uint8]] = {}
        self._length: int | None = None

    def __reduce__(self) -> tuple[type["ClipFrames"], tuple[()]]:
        """Travel to other processes without the frames."""
        return ClipFrames, ()

    def read(self, path: Path, indices: Sequence[int]) -> npt.NDArray[np.uint8]:
        """Decode frames of a clip.

        Args:
            path: An MP4 file.
            indices: At least one, from 0. One behind the last frame of the clip means the last frame.
        Returns:
            `(T, H, W, 3)` uint8 RGB, in the stored orientation.
        Raises:
            ConfigError: The clip is missing, broken, cut off or too large.
        """
        if not indices or min(indices) < 0:
            raise ConfigError(f"frames {list(indices)[:8]} of {path} were asked for; expected at least one, from 0 on")
        if path != self._path:
            self._path, self._kept, self._length = path, {}, None
        wanted = {self._clamped(index) for index in indices}
        found = {index: self._kept[index] for index in wanted & self._kept.keys()}
        if len(found) < len(wanted):
            found |= self._decode(path, wanted - found.keys(), len(indices))
        pictures = [found[self._clamped(index)] for index in indices]
        expect_to_fit((len(pictures), *pictures[0].shape), f"{len(pictures)} frames of {path}")
        self._keep(found)
        return np.stack(pictures)

    def size(self, path: Path) -> tuple[int, int]:
        """Height and width that a clip's head says; ConfigError if it is missing or broken."""
        with _opened(path) as (_, stream):
            return stream.codec_context.height, stream.codec_context.width

    def count(self, path: Path) -> int | None:
        """Frames that a clip's head says, None if it does not; ConfigError if it is missing or broken."""
        with _opened(path) as (_, stream):
            return _declared(stream)

    def _clamped(self, index: int) -> int:
        return index if self._length is None else min(index, self._length - 1)

    def _keep(self, found: dict[int, npt.NDArray[np.uint8]]) -> None:
        self._kept |= found
        if sum(picture.nbytes for picture in self._kept.values()) > _MOST_KEPT_BYTES:
            self._kept = {}

    def _decode(self, path: Path, wanted: set[int], asked: int) -> dict[int, npt.NDArray[np.uint8]]:
        """Decode up to the last wanted frame; learn the clip's length if it ends before."""
        found: dict[int, npt.NDArray[np.uint8]] = {}
        last: VideoFrame | None = None
        with _opened(path) as (container, stream):
            size = stream.codec_context.height, stream.codec_context.width
            expect_to_fit((asked, *size, 3), f"{asked} frames of {path}")
            number = -1
            for number, last in enumerate(container.decode(stream)):
                if (last.height, last.width) != size:
                    raise ConfigError(f"frames of {path} differ in size; expected one size a clip")
                if number in wanted:
                    found[number] = _pixels(last)
                if len(found) == len(wanted):
                    return found
            declared = _declared(stream)
            if last is None or (declared is not None and number + 1 < declared):
                raise ConfigError(
                    f"{path} is cut off or damaged: {number + 1} frames can be decoded, its head says "
                    f"{'nothing' if declared is None else declared}; copy it again"
                )
            self._length = number + 1
            found[number] = _pixels(last)
        return found


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open an MP4 file and nothing that it leads to.

    Raises:
        ConfigError: It is missing, broken or too large, also while it is read.
    """
    limits = {"max_pixels": str(_MOST_PIXELS)}
    try:
        with open_ordinary(path) as file, av.open(file, "r", format="mov", options=limits) as container:
            if not container.streams.video:
                raise ConfigError(f"{path} holds no video; expected an MP4 clip")
            stream = container.streams.video[0]
            context = stream.codec_context
            if context is None:  # PyAV's types say that this cannot be
                raise ConfigError(f"{path} holds video of a kind that cannot be decoded; expected H.264")
            context.options = limits
            context.thread_count = 1  # whoever reads much has a process for each core
            problem = USUAL_LIMITS.problem(context.width, context.height)
            if problem is not None or not (context.width and context.height):
                raise ConfigError(f"a picture of {path} has {problem or 'no size'}")
            yield container, stream
    except FileNotFoundError as error:
        raise ConfigError(f"{path} is missing; expected an MP4 clip") from error
    except ConfigError:
        raise
    except (av.FFmpegError, OSError, ValueError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise ConfigError(f"{path} cannot be read as an MP4 clip: {reason}") from error


def _declared(stream: VideoStream) -> int | None:
    """Frames that come out of the decoder: those that an edit list leaves out are not counted."""
    entries = stream.index_entries
    return sum(not entry.is_discard for entry in entries) or None


def _pixels(frame: VideoFrame) -> npt.NDArray[np.uint8]:
    return np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
