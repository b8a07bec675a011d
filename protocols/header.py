"""Headers: MessagePack to typed message and back; every failure is a `MessageError`."""

import msgspec
from msgspec import Struct

from ssa_stream.errors import MessageError
from ssa_stream.protocols.fields import Keyword, Whole
from ssa_stream.protocols.message import Unknown
from ssa_stream.protocols.message_types import MESSAGE_TYPES, AnyMessage
from ssa_stream.protocols.version import VERSION

__all__ = ["decode_header", "encode_header", "nesting_depth"]


class _Envelope(Struct):
    """What every header has had since the first version and will have in the last one."""

    type: Keyword
    v: tuple[Whole, Whole]


_ENCODER = msgspec.msgpack.Encoder()
_ENVELOPE = msgspec.msgpack.Decoder(_Envelope)
_MESSAGE: msgspec.msgpack.Decoder[AnyMessage] = msgspec.msgpack.Decoder(AnyMessage)
_FAILURES = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError)

_MAX_REASON = 300

# First bytes of lists and maps.
_CONTAINERS = bytes([*range(0x80, 0xA0), *range(0xDC, 0xE0)])
# Bytes that follow the first one of a value: a fixed number, or the size of a length that comes first.
_FIXED = {0xC0: 0, 0xC2: 0, 0xC3: 0, 0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4}
_FIXED |= {0xD3: 8, 0xD4: 2, 0xD5: 3, 0xD6: 5, 0xD7: 9, 0xD8: 17}
_LENGTH_SIZE = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xC7: 1, 0xC8: 2, 0xC9: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}
_EXTENSIONS = {0xC7, 0xC8, 0xC9}


def encode_header(message: AnyMessage) -> bytes:
    """Write a message's header.

    Raises:
        MessageError: A field has a value that no reader would take.
    """
    try:
        header = _ENCODER.encode(message)
        _MESSAGE.decode(header)
    except (*_FAILURES, OverflowError, TypeError, ValueError) as error:
        raise MessageError(f"{type(message).__name__} cannot be sent: {_brief(error)}") from error
    return header


def decode_header(header: bytes, max_depth: int) -> AnyMessage | Unknown:
    """Read a header of bounded length.

    Raises:
        MessageError: Not a header of a message that this version reads.
    """
    # A byte count is an upper bound of the depth, and enough for most headers.
    if len(header) - len(header.translate(None, _CONTAINERS)) > max_depth:
        depth = nesting_depth(header, max_depth)
        if depth > max_depth:
            raise MessageError(f"header is nested more than {max_depth} deep; refused (Limits.max_depth)")
    try:
        envelope = _ENVELOPE.decode(header)
    except _FAILURES as error:
        raise MessageError(
            f"header of {len(header)} bytes cannot be read ({_brief(error)}); expected a MessagePack map that says "
            f"type and v"
        ) from error
    major, minor = envelope.v
    if major != VERSION[0]:
        raise MessageError(
            f"message {envelope.type!r} is of protocol version {major}.{minor}; this side reads version "
            f"{VERSION[0]}.x: update the older of the two"
        )
    if envelope.type not in MESSAGE_TYPES:
        if minor > VERSION[1]:
            return Unknown(envelope.type, (major, minor))
        raise MessageError(
            f"message type {envelope.type!r} is not in protocol version {major}.{minor}; expected one of "
            f"{', '.join(MESSAGE_TYPES)}"
        )
    try:
        return _MESSAGE.decode(header)
    except _FAILURES as error:
        raise MessageError(f"message {envelope.type!r} cannot be read: {_brief(error)}") from error


def nesting_depth(data: bytes, enough: int) -> int:
    """How deep lists and maps are nested, without recursion; stops once it is more than `enough`.

    Where the bytes are no MessagePack it ends early: the decoder tells what is wrong.
    """
    left = [1]  # values still to come, at each level
    at = deepest = 0
    while left and at < len(data) and deepest <= enough:
        if not left[-1]:
            left.pop()
            continue
        left[-1] -= 1
        code = data[at]
        at += 1
        children = 0
        if 0x80 <= code <= 0x8F:
            children = 2 * (code & 15)
        elif 0x90 <= code <= 0x9F:
            children = code & 15
        elif 0xA0 <= code <= 0xBF:
            at += code & 31
        elif code >= 0xDC and code <= 0xDF:
            size = 2 if code in (0xDC, 0xDE) else 4
            children = int.from_bytes(data[at : at + size], "big") * (2 if code >= 0xDE else 1)
            at += size
        elif code in _FIXED:
            at += _FIXED[code]
        elif code in _LENGTH_SIZE:
            size = _LENGTH_SIZE[code]
            at += size + int.from_bytes(data[at : at + size], "big") + (code in _EXTENSIONS)
        if children:
            left.append(children)
            deepest = max(deepest, len(left) - 1)
    return deepest


def _brief(error: Exception) -> str:
    """The reason, without the length that a hostile value may give it."""
    text = str(error)
    return text if len(text) <= _MAX_REASON else text[:_MAX_REASON] + "..."
