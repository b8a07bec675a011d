"""Results drawn over the pictures, as a video file that keeps the stream's timing."""

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
from av.packet import Packet
from av.video.stream import VideoStream
from numpy.typing import NDArray

from ssa_stream.errors import ConfigError, SinkError
from ssa_stream.rates import rate_fraction
from ssa_stream.sinks.last_picture import matroska_cluster, mp4_fragment
from ssa_stream.sinks.output_file import OutputFile
from ssa_stream.sinks.picture_times import MPEG4_LONGEST_S, MPEG4_MOST, PictureTimes, time_base_for
from ssa_stream.sinks.sink import FrameTimes, Sink, SinkFrame, advice, pixel_aspect_of
from ssa_stream.viz import draw_overlay

if TYPE_CHECKING:
    from ssa_stream.streaming.results import MaskResult

__all__ = ["OverlayVideoSink", "has_pictures"]

_log = logging.getLogger(__name__)

_KEYFRAME_INTERVAL_S = 2.0
_MP4 = frozenset({".mp4", ".mov", ".m4v"})
# What is written at once, so that a process that is killed loses no more.
_FRAGMENT_MS = 500
_FRAGMENT_S = Fraction(_FRAGMENT_MS, 1000)


class OverlayVideoSink(Sink):
    """Write H.264 video of the overlay, each picture at its own stream time.

    The file grows in fragments, under a temporary name, and becomes an ordinary one at `close`: after Ctrl-C it is
    complete, after a kill `overlay.partial.mp4` plays up to the last second of stream time. A picture that comes half a
    second or more after the one before is in it at once, however slow the stream. The first picture sets the size (odd
    sides get one more pixel) and the shape of the pixels; later ones of another size or shape are fitted in with
    black bars. Containers cannot hold a pause of weeks: within one the last picture is repeated, so that later times
    are right.

    Attributes:
        frames: Pictures written, without repeated ones.
        frames_in_file: Those that a process that is killed now would leave in the file.
        is_stream: Whether they go to a pipe or a device, and not to a file.
        resized_frames: Pictures that had another size, or shape of pixels, than the first.
    """

    def __init__(self, path: str | Path, fps: float = 30.0, *, quality: int = 20, overwrite: bool = True) -> None:
        """Create the file. What was there stays until the new one is complete; see `ssa_stream.sinks.output_file`.

        Args:
            path: File name; its ending (.mp4, .mov, .mkv) chooses the container. Without one, and for a pipe or a
                device, it is Matroska.
            fps: Nominal rate; the real times of the frames are kept whatever it is.
            quality: Constant rate factor of x264, 0 (lossless) to 51; lower is better and larger.
            overwrite: Whether a file of that name may be there.
        Raises:
            SinkError: If the file cannot be created, or is there and may not be replaced.
            ConfigError: If `fps` is not above 0.
        """
        if not (fps > 0 and math.isfinite(fps)):
            raise ConfigError(f"fps is {fps}: give the nominal frames per second, above 0")
        self.frames = 0
        self.frames_in_file = 0
        self.resized_frames = 0
        self._path = Path(path)
        self._fps = rate_fraction(fps)
        self._quality = quality
        self._stream: VideoStream | None = None
        self._size = (0, 0)
        self._pixel_aspect = Fraction(1)
        self._has_h264 = "libx264" in av.codecs_available
        self._times = (
            PictureTimes(self._fps, time_base_for(self._fps))
            if self._has_h264
            else PictureTimes(self._fps, time_base_for(self._fps, most=MPEG4_MOST), longest_s=MPEG4_LONGEST_S)
        )
        self._last: av.VideoFrame | None = None
        self._last_s: Fraction | None = None
        self._failed = self._closed = False
        self._target = OutputFile(path, overwrite=overwrite)
        self.is_stream = self._target.is_stream
        try:
            self._container: OutputContainer = _opened(self._target, self._path.suffix.lower(), self._times.time_base)
        except (OSError, av.FFmpegError, ValueError) as error:
            self._target.discard()
            raise SinkError(f"cannot write {self._path}: {advice(error, is_stream=self.is_stream)}") from error

    def write(self, frame: SinkFrame, results: Sequence["MaskResult"], times: FrameTimes | None = None) -> None:
        """Draw the results over the frame and append it."""
        if self._closed or self._failed:
            raise SinkError(f"cannot write {self._path}: it is {'closed' if self._closed else 'broken'} already")
        picture, pixel_aspect = draw_overlay(frame.image, results), pixel_aspect_of(frame)
        if self._stream is None:
            self._pixel_aspect = pixel_aspect
            self._stream = self._open_stream(picture.shape[0], picture.shape[1])
        encoded = av.VideoFrame.from_ndarray(self._fitted(picture, pixel_aspect), format="rgb24")
        try:
            *repeated, pts = self._times.next(frame.t)
            for at in repeated:
                assert self._last is not None  # there is no pause before the first picture
                self._encode(self._last, at)
            is_in_file = self._encode(encoded, pts)
            self.frames += 1
            if is_in_file:
                self.frames_in_file = self.frames
            self._target.keep_safe()
        except (OSError, av.FFmpegError) as error:
            self._failed = True
            kept = self._target.kept_as if self.frames_in_file else ""
            raise SinkError(f"cannot write {self._path}: {advice(error, is_stream=self.is_stream)}{kept}") from error
        self._last = encoded

    def close(self) -> None:
        """Write the end of the file and give it its final name, or remove it if no picture ever came.

        Raises:
            SinkError: If the end cannot be written or the file cannot get that name.
        """
        if self._closed:
            return
        self._closed = True
        try:
            if self._stream is not None and not self._failed:
                self._container.mux(self._stream.encode(None))
            self._container.close()
            if not self._failed:
                self.frames_in_file = self.frames
        except (OSError, av.FFmpegError) as error:
            if not self._failed:
                self._failed = True
                raise SinkError(
                    f"cannot finish {self._path}: {advice(error, is_stream=self.is_stream)}{self._target.kept_as}"
                ) from error
        finally:
            if self.frames == 0 or (self._failed and self.frames_in_file == 0):
                self._target.discard()
            elif self._failed:
                self._target.cut_to_whole()
                self._target.leave()
        self._target.finish()

    def _encode(self, picture: av.VideoFrame, pts: int) -> bool:
        """Append a picture; whether it is in the file already."""
        assert self._stream is not None  # it was opened with the first picture
        picture.pts, picture.time_base = pts, self._times.time_base
        packets = self._stream.encode(picture)
        self._container.mux(packets)
        return [self._leave_readable(packet) for packet in packets][-1:] == [True]

    def _leave_readable(self, packet: "Packet[VideoStream]") -> bool:
        """After a packet was muxed: see which pictures are in the file, and put one of a slow stream there."""
        assert packet.pts is not None  # every picture has its time, and the muxer its unit
        assert packet.time_base is not None
        at_s, last_s, self._last_s = packet.pts * packet.time_base, self._last_s, packet.pts * packet.time_base
        if self._target.is_stream or self._target.has_grown:  # the muxer has written all that came before
            self.frames_in_file = self.frames
            self._target.mark_whole()
        if self._target.is_stream or (last_s is not None and at_s - last_s < _FRAGMENT_S):
            return False
        data, time, is_key = bytes(packet), packet.pts, packet.is_keyframe
        duration = max(1, round(1 / (self._fps * packet.time_base)))
        self._target.append(
            mp4_fragment(data, time, duration, is_key=is_key)
            if self._path.suffix.lower() in _MP4
            else matroska_cluster(data, time, is_key=is_key)
        )
        return True

    def _open_stream(self, height: int, width: int) -> VideoStream:
        self._size = (height + height % 2, width + width % 2)
        if self._has_h264:
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
        stream.codec_context.time_base = self._times.time_base
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


def _opened(target: OutputFile, suffix: str, time_base: Fraction) -> OutputContainer:
    # FFmpeg's own buffers would hold seconds of video back.
    options = {"flush_packets": "1"}
    if suffix in _MP4:
        # Left to itself the muxer multiplies the unit, and with it shortens the longest pause.
        options["video_track_timescale"] = str(time_base.denominator)
    if suffix in _MP4 and target.is_stream:
        options["movflags"] = "frag_keyframe+empty_moov+default_base_moof"  # a pipe cannot be gone back in
    elif suffix in _MP4:
        options |= {"movflags": "hybrid_fragmented+empty_moov+frag_keyframe", "frag_duration": str(_FRAGMENT_MS * 1000)}
    else:
        options["cluster_time_limit"] = str(_FRAGMENT_MS - 1)  # of what is longer than this
    has_own_format = suffix in _MP4
    # Told to be a file, a name such as cam:one.mkv is not taken for a protocol.
    return av.open(f"file:{target.path}", "w", format=None if has_own_format else "matroska", options=options)


def has_pictures(path: Path) -> bool:
    """Whether a video, of a killed process perhaps, has a picture that can be decoded."""
    try:
        with av.open(f"file:{path}") as container:
            return next(container.decode(video=0), None) is not None
    except (OSError, av.FFmpegError, IndexError):  # IndexError: no video in it
        return False
