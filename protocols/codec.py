"""Messages to multipart frames and back: `[topic, header, buffer 0, buffer 1, ...]`."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from numpy.typing import NDArray

from ssa_stream.errors import ConfigError, MessageError
from ssa_stream.protocols.header import decode_header, encode_header
from ssa_stream.protocols.message import Buffer, BufferUse, Unknown
from ssa_stream.protocols.message_types import AnyMessage
from ssa_stream.protocols.tensors import Buffers, TensorSpec, as_array, flat_view
from ssa_stream.protocols.topics import MAX_TOPIC_BYTES, Topic
from ssa_stream.protocols.version import VERSION

__all__ = ["Limits", "Packet", "decode", "encode"]

_MIB = 2**20
_MAX_LZ4_RATIO = 255


@dataclass(frozen=True, slots=True)
class Limits:
    """What a reader accepts; anything larger is refused before memory is spent on it.

    Lengths of texts, lists and numbers are limits of the protocol itself, see `fields`. These here are for whoever
    runs a reader to set. The defaults hold mask features of a 4K frame and label maps of an 8K frame.

    Attributes:
        max_frames: Parts of one multipart message, topic and header included.
        max_header_bytes: Length of the header.
        max_depth: Nesting of lists and maps in the header, those of unknown fields included.
        max_buffer_bytes: Length of one buffer.
        max_message_bytes: Length of all parts together.
        max_unpacked_bytes: All label maps of a message and its picture after decompression, and what reading its run
            lengths takes: one byte per pixel and 64 per character.
    """

    max_frames: int = 256
    max_header_bytes: int = 128 * 1024
    max_depth: int = 128
    max_buffer_bytes: int = 512 * _MIB
    max_message_bytes: int = 1024 * _MIB
    max_unpacked_bytes: int = 256 * _MIB

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if type(value) is not int or value < 1:
                raise ConfigError(f"Limits.{field.name} is {value!r}; expected a whole number of at least 1")


_DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True, eq=False)
class Packet:
    """A message with its buffers, as it came.

    Attributes:
        message: What it says; `Unknown` if only a later minor version knows its type.
        buffers: Views into the received frames, of the lengths that the message says.
        topic: None on links between two peers.
    """

    message: AnyMessage | Unknown
    buffers: tuple[memoryview, ...] = ()
    topic: Topic | None = None

    def data(self, spec: TensorSpec) -> memoryview:
        """The bytes of a tensor of this message, not copied."""
        return self.buffers[spec.buffer]

    def array(self, spec: TensorSpec) -> NDArray[Any]:
        """A tensor of this message as numpy array, not copied; the bits of bfloat16 as uint16."""
        return as_array(spec, self.buffers[spec.buffer])


def encode(
    message: AnyMessage,
    buffers: Buffers | Sequence[Buffer] = (),
    *,
    topic: Topic | None = None,
    limits: Limits = _DEFAULT_LIMITS,
) -> list[bytes | memoryview]:
    """Make the parts of a multipart message. Whatever it returns, `decode` takes under the same limits.

    Args:
        message: What to say.
        buffers: What its fields refer to. Not copied: they must stay as they are until sent.
        topic: Where it is published; None on links between two peers, where the first part is empty.
        limits: Of the reader.
    Raises:
        MessageError: Values, buffers or sizes that no reader would take.
    """
    header = encode_header(message)
    views = [flat_view(buffers[i]) for i in range(len(buffers))]
    parts: list[bytes | memoryview] = [b"" if topic is None else topic.encode(), header, *views]
    _check_sizes([len(part) for part in parts], limits)
    _check_buffers(message, views, limits)
    return parts


def decode(frames: Sequence[Any], limits: Limits) -> Packet:
    """Read a multipart message. Nothing of its buffers is copied.

    Args:
        frames: Its parts: bytes, anything with the buffer protocol, or with a `.buffer` such as zmq frames. Parts
            that a socket puts before the topic, such as a router's identity, are taken off before.
        limits: What the reader takes.
    Raises:
        MessageError: Malformed, too large, or of another major version. Nothing else is ever raised, whatever the
            bytes are, and no memory is taken beyond what came.
    """
    if len(frames) > limits.max_frames:  # before a view is made of each
        raise MessageError(f"message of {len(frames)} parts; at most {limits.max_frames} are taken (Limits.max_frames)")
    views = [flat_view(frame) for frame in frames]
    _check_sizes([view.nbytes for view in views], limits)
    topic = Topic.parse(bytes(views[0])) if views[0].nbytes else None
    message = decode_header(bytes(views[1]), limits.max_depth)
    if not isinstance(message, Unknown):
        _check_buffers(message, views[2:], limits)
    return Packet(message, tuple(views[2:]), topic)


def _check_sizes(sizes: list[int], limits: Limits) -> None:
    """Refuse parts that are too many or too large."""
    if len(sizes) < 2:
        raise MessageError(f"message of {len(sizes)} parts; expected a topic, a header and the buffers it names")
    for found, limit, what in (
        (len(sizes), limits.max_frames, "parts (Limits.max_frames)"),
        (sizes[0], MAX_TOPIC_BYTES, "bytes of topic"),
        (sizes[1], limits.max_header_bytes, "bytes of header (Limits.max_header_bytes)"),
        (max(sizes[2:], default=0), limits.max_buffer_bytes, "bytes in a buffer (Limits.max_buffer_bytes)"),
        (sum(sizes), limits.max_message_bytes, "bytes in all (Limits.max_message_bytes)"),
    ):
        if found > limit:
            raise MessageError(f"message with {found} {what}; at most {limit} are taken")


def _check_buffers(message: AnyMessage, buffers: Sequence[memoryview], limits: Limits) -> None:
    """Refuse buffers that are not what the header says, before anything is made of them."""
    uses = list(message.buffer_uses())
    kind = type(message).__name__
    for use in uses:
        if use.buffer >= len(buffers):
            raise MessageError(f"{kind}.{use.field} is in buffer {use.buffer}, but {len(buffers)} came")
        _check_length(kind, use, buffers[use.buffer].nbytes)
    named = {use.buffer for use in uses}
    if len(named) < len(uses):
        raise MessageError(f"two fields of {kind} name the same buffer; expected one buffer each")
    if len(named) < len(buffers) and message.v <= VERSION:  # a later minor may have brought more
        raise MessageError(f"{len(buffers)} buffers came with {kind}, which names {len(named)}")
    unpacked = sum(use.unpacked_bytes + use.work_bytes * buffers[use.buffer].nbytes for use in uses)
    if unpacked > limits.max_unpacked_bytes:
        raise MessageError(
            f"masks of {kind} take {unpacked} bytes to unpack; at most {limits.max_unpacked_bytes} are taken "
            f"(Limits.max_unpacked_bytes)"
        )


def _check_length(kind: str, use: BufferUse, length: int) -> None:
    if use.exact_bytes is not None and length != use.exact_bytes:
        raise MessageError(f"{kind}.{use.field} takes {use.exact_bytes} bytes, but its buffer has {length}")
    if use.is_lz4 and use.unpacked_bytes > _MAX_LZ4_RATIO * length:
        raise MessageError(
            f"{kind}.{use.field} claims {use.unpacked_bytes} bytes from {length} bytes of LZ4, more than LZ4 can give"
        )
