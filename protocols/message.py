"""Base class of all messages: type and version in the header, and buffers behind it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from msgspec import Struct

from ssa_stream.protocols.fields import BufferIndex, Whole
from ssa_stream.protocols.version import VERSION, Version

__all__ = ["Buffer", "BufferUse", "Message", "Unknown"]

Buffer = bytes | bytearray | memoryview
"""Bytes of a buffer. Whatever else has the buffer protocol, such as a numpy array, is given as its `memoryview`."""


class BufferUse(NamedTuple):
    """What a header says about one of its buffers.

    Attributes:
        field: Where in the header.
        buffer: Index of the buffer.
        exact_bytes: Length that it must have; None if its content says.
        unpacked_bytes: Memory that it takes once decompressed.
        work_bytes: Memory that unpacking takes besides, for each byte of the buffer.
        is_lz4: Whether it is an LZ4 block, which cannot unpack to more than 255 times its length.
    """

    field: str
    buffer: BufferIndex
    exact_bytes: int | None = None
    unpacked_bytes: int = 0
    work_bytes: int = 0
    is_lz4: bool = False


class Message(Struct, frozen=True, kw_only=True, tag_field="type"):
    """Header of a message. Its type is written by name and tells the fields.

    Attributes:
        v: Version of the protocol that the sender wrote.
    """

    v: tuple[Whole, Whole] = VERSION

    def buffer_uses(self) -> Iterator[BufferUse]:
        """The buffers that the message comes with."""
        return iter(())


@dataclass(frozen=True, slots=True)
class Unknown:
    """A message of a type that a later minor version brought: to be passed over, not an error."""

    type: str
    v: Version
