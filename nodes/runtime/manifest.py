"""Where the buffers of a message between processes are: the part between its header and its buffers."""

import msgspec

from ssa_stream.errors import MessageError

__all__ = ["Manifest", "Place"]

Place = tuple[int, int]
"""Offset and length within a file of shared memory."""


class Manifest(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where the buffers of a message are.

    Attributes:
        segment: File with those that are in shared memory; empty if none is.
        generation: Of the content of that file.
        places: One per buffer; None for one that is a part of the message.
    """

    segment: str
    generation: int
    places: tuple[Place | None, ...]

    def encode(self) -> bytes:
        """As it travels."""
        return _ENCODER.encode(self)

    @classmethod
    def decode(cls, data: bytes) -> "Manifest":
        """Read one.

        Raises:
            MessageError: It is none.
        """
        try:
            return _DECODER.decode(data)
        except msgspec.MsgspecError as error:
            raise MessageError(f"manifest of {len(data)} bytes cannot be read: {error}") from error

    @property
    def shared(self) -> list[Place]:
        """Places of the buffers that are in shared memory."""
        return [place for place in self.places if place is not None]


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Manifest)
