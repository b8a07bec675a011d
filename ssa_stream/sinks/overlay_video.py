"""Results drawn over the pictures, as a video file that keeps the stream's timing."""

import contextlib
import logging
import math
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import cv2
import numpy as np
from av.container import OutputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from ssa_stream.errors import ConfigError, SinkError
from ssa_stream.sinks.sink import FrameTimes, Sink, SinkFrame, advice, pixel_aspect_of
from ssa_stream.viz import draw_overlay

if TYPE_CHECKING:
    from ssa_stream.streaming.results import MaskResult

__all__ = ["OverlayVideoSink"]

_log = logging.getLogger(__name__)

# Exact for 24, 25, 29.97, 30, 50 and 60 fps, and the finest round number that MPEG-4 Part 2 can write (16 bits).
_TIME_BASE = Fraction(1, 60_000)
_KEYFRAME_INTERVAL_S = 2.0


class OverlayVideoSink(Sink):
    """Write H.264 video of the overlay, each picture at its own stream time.

    The file grows in fragments and becomes an ordinary one at `close`: after Ctrl-C it is complete, after a kill it
    still plays up to the last two seconds. The first picture sets the size (odd sides get one more pixel) and the
    shape of the pixels; later ones of another size or shape are fitted in with black bars.

    Attributes:
        frames: Pictures written.
        resized_frames: Pictures that had another size, or shape of pixels, than the first.
    """

    def __init__(self, path: str | Path, fps: float = 30.0, *, quality: int = 20) -> None:
        """Create the file, replacing what was there.

        Args:
            path: File name; its ending (.mp4, .mov, .mkv) chooses the container.
            fps: Nominal rate; the real times of the frames are kept whatever it is.
            quality: Constant rate factor of x264, 0 (lossless) to 51; lower is better and larger.
        Raises:
            SinkError: If the file cannot be created.
            ConfigError: If `fps` is not above 0.
        """
        if not (fps > 0 and math.isfinite(fps)):
            raise ConfigError(f"fps is {fps}: give the nominal frames per second, above 0")
        self.frames = 0
        self.resized_frames = 0
        self._path = Path(path)
        self._fps = Fraction(fps).limit_denominator(1001)
        self._quality = quality
        self._stream: VideoStream | None = None
        self._size = (0, 0)
        self._pixel_aspect = Fraction(1)
        self._origin_s: float | None = None
        self._last_pts = -1
        self._failed = self._closed = False
        try:
            self._path.open("wb").close()
            self._container: OutputContainer = av.open(str(self._path), "w", options=_muxer_options(self._path))
        except (OSError, av.FFmpegError, ValueError) as error:
            raise SinkError(f"cannot write {self._path}: {advice(error)}") from error

    def write(self, frame: SinkFrame, results: Sequence["MaskResult"], times: FrameTimes | None = None) -> None:
        """Draw the results over the frame and append it."""
        if self._closed or self._failed:
            raise SinkError(f"cannot write {self._path}: it is {'closed' if self._closed else 'broken'} already")
        picture, pixel_aspect = draw_overlay(frame.image, results), pixel_aspect_of(frame)
        if self._stream is None:
            self._pixel_aspect = pixel_aspect
            self._stream = self._open_stream(picture.shape[0], picture.shape[1])
        encoded = av.VideoFrame.from_ndarray(self._fitted(picture, pixel_aspect), format="rgb24")
        encoded.pts, encoded.time_base = self._pts(frame.t), _TIME_BASE
        try:
            self._container.mux(self._stream.encode(encoded))
        except (OSError, av.FFmpegError) as error:
            self._failed = True
            raise SinkError(f"cannot write {self._path}: {advice(error)}") from error
        self.frames += 1

    def close(self) -> None:
        """Write the end of the file, or remove it if no picture ever came."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._stream is not None and not self._failed:
                self._container.mux(self._stream.encode(None))
            self._container.close()
        except (OSError, av.FFmpegError) as error:
            if not self._failed:
                raise SinkError(f"cannot finish {self._path}: {advice(error)}") from error
        finally:
            if self._stream is None and self._path.is_file():
                with contextlib.suppress(OSError):
                    self._path.unlink()

    def _open_stream(self, height: int, width: int) -> VideoStream:
        self._size = (height + height % 2, width + width % 2)
        if "libx264" in av.codecs_available:
            # zerolatency: no picture waits inside the encoder, so that an interruption loses none.
            options = {"preset": "veryfast", "crf": str(self._quality), "tune": "zerolatency"}
            stream = self._container.add_stream("libx264", rate=self._fps, options=options)
        else:
            _log.warning("this PyAV has no libx264: %s is written as MPEG-4 Part 2 instead of H.264", self._path)
            options = {"qscale": "4", "flags": "+qscale", "bf": "0"}
            stream = self._container.add_stream("mpeg4", rate=self._fps, options=options)
        stream.height, stream.width = self._size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.sample_aspect_ratio = self._pixel_aspect
        stream.codec_context.time_base = _TIME_BASE
        stream.codec_context.gop_size = max(1, round(self._fps * _KEYFRAME_INTERVAL_S))
        return stream

    def _fitted(self, picture: NDArray[np.uint8], pixel_aspect: Fraction) -> NDArray[np.uint8]:
        height, width = self._size
        even = picture.shape[0] + picture.shape[0] % 2, picture.shape[1] + picture.shape[1] % 2
        if even == self._size and pixel_aspect == self._pixel_aspect:
            pad = ((0, height - picture.shape[0]), (0, width - picture.shape[1]), (0, 0))
            return np.pad(picture, pad, mode="edge")
        self.resized_frames += 1
        shown_width = float(picture.shape[1] * pixel_aspect / self._pixel_aspect)
        scale = min(height / picture.shape[0], width / shown_width)
        inner = (max(1, round(picture.shape[0] * scale)), max(1, round(shown_width * scale)))
        interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        canvas = np.zeros((height, width, 3), dtype=np.uint8)
        top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
        canvas[top : top + inner[0], left : left + inner[1]] = cv2.resize(
            picture, (inner[1], inner[0]), interpolation=interpolation
        )
        return canvas

    def _pts(self, t: float) -> int:
        interval = max(1, round(1 / (self._fps * _TIME_BASE)))
        if self._origin_s is None:
            self._origin_s = t
        pts = round((t - self._origin_s) / _TIME_BASE)
        if pts <= self._last_pts:  # a new epoch that counts from its own start: go on one interval later
            pts = self._last_pts + interval
            self._origin_s = t - float(pts * _TIME_BASE)
        self._last_pts = pts
        return pts


def _muxer_options(path: Path) -> dict[str, str]:
    return {"movflags": "hybrid_fragmented"} if path.suffix.lower() in {".mp4", ".mov", ".m4v"} else {}
