"""Video decoded by a device, such as a GPU, where there is one; and by the processor as soon as that fails.

The device has a decoder of its own beside that of the stream, so that the stream's own is there when it is needed.
"""

import functools
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import av
from av import VideoFrame
from av.codec import CodecContext
from av.codec.hwaccel import HWAccel, hwdevices_available
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

if TYPE_CHECKING:
    VideoPacket = Packet[VideoStream]

__all__ = ["HardwareDecoder", "decoder_of", "open_device"]

_CODECS = frozenset({"h264", "hevc"})
"""That devices are asked for unless one is named."""
_PREFERRED = ("cuda", "videotoolbox", "d3d11va", "vaapi", "qsv", "vulkan")
_MOST_KEPT_PACKETS = 600
_MOST_KEPT_BYTES = 64 * 2**20
"""Of the pictures since the last key frame, which the stream's own decoder starts from; after a longer run it waits."""
_ADVICE = "leave hwaccel out, or give hwaccel=none, to decode on the processor"


class HardwareDecoder:
    """Decodes the packets of one stream on a device, until it fails; then on the processor, from the last key frame on.

    No picture is lost by that, and none comes twice.

    Attributes:
        device: Kind of device; None once it has failed.
        warning: Why the device is not used any more; empty if it is.
    """

    def __init__(self, context: VideoCodecContext, device: str) -> None:
        """Take over a decoder.

        Args:
            context: Of the device, not opened yet.
            device: Kind of device.
        """
        self.device: str | None = device
        self.warning = ""
        self._context = context
        self._kept: deque[list[VideoPacket]] = deque()  # from one key frame to the next
        self._kept_bytes = 0
        self._delivered_pts: int | None = None
        self._waits_for_key_frame = False
        self._repeats = True  # once the processor decodes: until the first frame that is new

    def decode(self, packet: "VideoPacket") -> list[VideoFrame]:
        """Decode a packet, an empty one to have what is left.

        Raises:
            av.FFmpegError: The processor cannot decode it either.
        """
        if self.device is None:
            return self._new(self._by_processor(packet))
        self._keep(packet)
        try:
            frames = self._context.decode(packet)
        except Exception as error:  # of FFmpeg, a driver, or PyAV itself: the processor can do it all
            return self._fall_back(error)
        return self._deliver(frames)

    def _keep(self, packet: "VideoPacket") -> None:
        if packet.is_keyframe:
            self._waits_for_key_frame = False
            self._kept.append([])
        elif self._waits_for_key_frame:
            return
        elif not self._kept:
            self._kept.append([])
        self._kept[-1].append(packet)
        self._kept_bytes += packet.size
        if len(self._kept[-1]) > _MOST_KEPT_PACKETS or self._kept_bytes > _MOST_KEPT_BYTES:
            self._kept.clear()
            self._kept_bytes = 0
            self._waits_for_key_frame = True

    def _deliver(self, frames: list[VideoFrame]) -> list[VideoFrame]:
        """Take note of what comes out; what came before the newest key frame that is out is not needed any more."""
        for frame in frames:
            self._delivered_pts = frame.pts if frame.pts is not None else self._delivered_pts
        while len(self._kept) > 1 and self._is_out(self._kept[1][0].pts):
            self._kept_bytes -= sum(packet.size for packet in self._kept.popleft())
        return frames

    def _is_out(self, pts: int | None) -> bool:
        return pts is not None and self._delivered_pts is not None and self._delivered_pts >= pts

    def _fall_back(self, error: Exception) -> list[VideoFrame]:
        """Decode on the processor what the device was given since the last key frame, but deliver what is new."""
        self.warning = f"{self.device} failed to decode ({type(error).__name__}: {error}); the processor does it now"
        self.device = None
        kept, self._kept = [packet for packets in self._kept for packet in packets], deque()
        frames = list[VideoFrame]()
        for packet in kept:
            frames += self._by_processor(packet)
        return self._new(frames)

    def _new(self, frames: list[VideoFrame]) -> list[VideoFrame]:
        """Frames that the device had not given out before it failed; a decoder with threads gives them out late."""
        while self._repeats and frames:
            self._repeats = self._is_out(frames[0].pts)
            frames = frames[1:] if self._repeats else frames
        return frames

    def _by_processor(self, packet: "VideoPacket") -> list[VideoFrame]:
        """Decode by the stream's own decoder, which needs a key frame to begin with."""
        if self._waits_for_key_frame:
            if packet.size and not packet.is_keyframe:
                return []
            self._waits_for_key_frame = False
        return packet.decode()


def decoder_of(stream: VideoStream, hwaccel: str, options: dict[str, str]) -> tuple[HardwareDecoder | None, str]:
    """A decoder on a device for a stream, and what to say if there is none though one was asked for.

    Args:
        stream: Of an open container.
        hwaccel: Kind of device; `auto`: one that is there, for H.264 and H.265; `none`.
        options: Of the decoder, see `size_guard.decoder_options`.
    """
    own = stream.codec_context
    codec = str(own.codec.name)
    if hwaccel == "none" or (hwaccel == "auto" and codec not in _CODECS):
        return None, ""
    reasons = []
    for device in _PREFERRED if hwaccel == "auto" else (hwaccel,):
        context, reason = open_device(codec, device)
        if context is not None:
            context.extradata = own.extradata
            context.options = dict(options)
            context.copy_opaque = own.copy_opaque
            return HardwareDecoder(context, device), ""
        reasons.append(reason)
    return None, "" if hwaccel == "auto" else f"{reasons[0]}; the processor decodes: {_ADVICE}"


def open_device(codec: str, device: str) -> tuple[VideoCodecContext | None, str]:
    """A decoder on a device, and why there is none."""
    if (problem := _problem(codec, device)) is not None:
        return None, problem
    return _context(codec, device), ""


@functools.cache
def _problem(codec: str, device: str) -> str | None:
    """Why a device cannot decode; None if it can. Asked once in a process."""
    built = hwdevices_available()
    if device not in built:
        return f"this FFmpeg has no {device}, only {', '.join(built) or 'the processor'}"
    try:
        if not _context(codec, device).is_hwaccel:
            return f"{device} does not decode {codec}"
    except (av.FFmpegError, OSError, ValueError, NotImplementedError, RuntimeError) as error:
        return f"there is no {device} that works ({getattr(error, 'strerror', None) or error})"
    return None


def _context(codec: str, device: str) -> VideoCodecContext:
    create = cast(Callable[..., VideoCodecContext], CodecContext.create)
    # Without FFmpeg's own way back: it would take it in silence.
    return create(codec, "r", HWAccel(device_type=device, allow_software_fallback=False))
