"""Keeps a decoder from pictures that are too large: before it takes memory for them, where it tells their size."""

import errno

import av
from av import VideoFrame
from av.packet import Packet
from av.video.stream import VideoStream

from ssa_stream.errors import SourceError, SourceErrorCode
from ssa_stream.picture_limits import PictureLimits

__all__ = ["SizeGuard", "decoder_options", "too_large"]

# Decoders take memory for whole blocks, of 64 pixels or 128.
_BLOCK_PX = 128
_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8"
# Segments of JPEG that begin a picture, and say its size.
_FRAME_HEADS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def decoder_options(limits: PictureLimits) -> dict[str, str]:
    """FFmpeg's options: a decoder refuses a picture of clearly more pixels before it takes memory for it."""
    return {"max_pixels": str(limits.area_px + _BLOCK_PX * limits.edge_px)}


def too_large(name: str, problem: str) -> SourceError:
    """The error of a source whose pictures are too large.

    Args:
        name: What to call it in messages.
        problem: See `PictureLimits.problem`.
    """
    return SourceError(
        f"a picture of {name} has {problem}. Make it smaller, or allow it with #max_edge=... and #max_area=... "
        "(pixels) at the end of the address",
        SourceErrorCode.TOO_LARGE,
    )


class SizeGuard:
    """Passes over the pictures of one stream that are too large, and counts them.

    Attributes:
        count: How many.
        problem: What the first of them was, see `PictureLimits.problem`; None if there was none.
    """

    def __init__(self, stream: VideoStream, limits: PictureLimits) -> None:
        """Begin.

        Args:
            stream: Of an open container.
            limits: How large its pictures may be.
        """
        self.count = 0
        self.problem: str | None = None
        self._stream, self._limits = stream, limits
        self._sent: Packet[VideoStream] | None = None

    def require(self, name: str, width: int, height: int) -> None:
        """Refuse a size that the container declares; 0 is not known yet.

        Raises:
            SourceError: It is too large.
        """
        problem = self._limits.problem(width, height)
        if problem is not None:
            raise too_large(name, problem)

    def sent(self, packet: "Packet[VideoStream]") -> None:
        """See a packet before it is decoded: a decoder with threads fails at a later one, or at the end."""
        if packet.size:
            self._sent = packet

    def within(self, frames: list[VideoFrame]) -> list[VideoFrame]:
        """The frames without those that are too large."""
        return [frame for frame in frames if not self._is_refused(frame.width, frame.height)]

    def refused(self, error: av.FFmpegError) -> bool:
        """Whether that is why a packet was not decoded; then it is counted.

        A decoder that refuses a size forgets it. What the packet itself says is looked at where that is easy: in a
        picture of a format of its own.
        """
        context = self._stream.codec_context
        if self._is_refused(context.width, context.height):
            return True
        if self._sent is not None and self._is_refused(*_size(self._sent)):
            return True
        if error.errno == errno.EINVAL and not (context.width and context.height):
            self._count(f"more pixels than allowed, or its size makes no sense; {self._limits}")
            return True
        return False

    def _is_refused(self, width: int, height: int) -> bool:
        problem = self._limits.problem(width, height)
        if problem is not None:
            self._count(problem)
        return problem is not None

    def _count(self, problem: str) -> None:
        self.count += 1
        self.problem = self.problem or problem


def _size(packet: "Packet[VideoStream]") -> tuple[int, int]:
    """Width and height that the head of a JPEG or PNG says; zeros where there is none."""
    data = memoryview(packet)
    if bytes(data[:8]) == _PNG:
        return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    at = len(_JPEG) if bytes(data[:2]) == _JPEG else len(data)
    while at + 9 <= len(data) and data[at] == 0xFF:
        if data[at + 1] in _FRAME_HEADS:
            return int.from_bytes(data[at + 7 : at + 9], "big"), int.from_bytes(data[at + 5 : at + 7], "big")
        at += 1 if data[at + 1] == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return 0, 0
