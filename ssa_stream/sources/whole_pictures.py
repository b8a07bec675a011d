"""Decode the access units of a camera so that no picture is torn, or built on one that is."""

from collections.abc import Callable
from typing import cast

from av import VideoFrame
from av.packet import Packet
from av.video.stream import VideoStream

from ssa_stream.sources.access_units import AccessUnit, AccessUnits, Gap
from ssa_stream.sources.nal_units import NalCodec
from ssa_stream.sources.source import Completion

__all__ = ["WholePictures"]

Decode = Callable[["Packet[VideoStream]"], list[VideoFrame]]


class WholePictures:
    """The pictures of packets that FFmpeg did not parse.

    A marker alone is no proof that a picture is complete. FFmpeg's decoder of H.264 takes pictures in parts (`chunks`)
    and hands one out when it has decoded its last macroblock: behind a marker that was none it waits for the rest.

    Where packets are missing the decoder is emptied, and begins anew as after connecting: at a key picture, or where
    the stream says that decoding may begin.

    Attributes:
        complete_at: How the end of the newest picture was found.
        lacks_key: Whether packets were missing, and no picture has come since.

    Args:
        stream: Whose packets come; none was decoded yet.
        codec: How it writes them.
        secret: See `AccessUnits`.
        counts_blocks: Whether the decoder tells when it has all of a picture, as FFmpeg's own does for H.264. One on a
            device does not: then its pictures are not decoded in parts, and no mark counts that nothing proves.
        empty: Empties that decoder; None for the one of the stream.
    """

    def __init__(
        self,
        stream: VideoStream,
        codec: NalCodec,
        secret: bytes,
        *,
        counts_blocks: bool = True,
        empty: Callable[[], None] | None = None,
    ) -> None:
        self.complete_at: Completion = "next_picture"
        self.lacks_key = False
        self._context, self._codec = stream.codec_context, codec
        self._stream = stream
        self._proves_ends = codec.proves_ends and counts_blocks
        self._empty = empty or self._context.flush_buffers
        self._units = AccessUnits(stream, codec, secret, believes_marks=self._proves_ends or not codec.proves_ends)
        self._has_begun = False
        self._begins_at: int | None = None
        self._last_pts: int | None = None
        if self._proves_ends:
            self._context.options = {**self._context.options, "flags2": "+chunks"}

    def take(self, packet: "Packet[VideoStream]", decode: Decode) -> list[VideoFrame]:
        """The pictures that are complete with the next packet.

        Args:
            packet: As FFmpeg hands it out; an empty one is the end.
            decode: Decodes a packet; what fails costs no more than its pictures.
        """
        shown: list[VideoFrame] = []
        for one in self._units.take(packet):
            shown += self._begin_anew(decode) if isinstance(one, Gap) else self._decoded(one, decode)
        return shown

    def _decoded(self, unit: AccessUnit, decode: Decode) -> list[VideoFrame]:
        packet = unit.packet
        if not packet.size:
            return self._drained(decode)
        if self._proves_ends and not self._has_begun:
            self._look_for_beginning(packet)
        self._last_pts = packet.pts
        pictures = [picture for picture in decode(packet) if not self._leads(picture)]
        if pictures:
            self.lacks_key = False
            self.complete_at = "marker" if unit.is_marked else "next_picture"
        return pictures

    def _look_for_beginning(self, packet: "Packet[VideoStream]") -> None:
        """Note where the decoder can begin; it decides that itself, and shows nothing before."""
        if packet.is_keyframe or self._codec.tells_recovery(bytes(packet)):
            self._has_begun, self._begins_at = True, packet.pts

    def _leads(self, picture: VideoFrame) -> bool:
        """Whether a picture is shown before the one that decoding began with: it is built on what was not decoded.

        The decoder knows that of whole pictures. But in parts it keeps the message of a recovery point, and takes each
        picture behind it for one.
        """
        begins_at, pts = self._begins_at, picture.pts
        if begins_at is not None and pts is not None and pts < begins_at:
            return True
        self._begins_at = None
        return False

    def _begin_anew(self, decode: Decode) -> list[VideoFrame]:
        pictures = self._drained(decode)
        self._empty()
        self._has_begun, self._begins_at, self.lacks_key = False, None, True
        return pictures

    def _drained(self, decode: Decode) -> list[VideoFrame]:
        """The pictures that the decoder held back for their order, but not one that may lack parts."""
        flush = cast("Packet[VideoStream]", Packet())
        flush.stream = self._stream
        if self._stream.time_base is not None:
            flush.time_base = self._stream.time_base
        held = [picture for picture in decode(flush) if not self._leads(picture)]
        return [picture for picture in held if not self._proves_ends or picture.pts != self._last_pts]
