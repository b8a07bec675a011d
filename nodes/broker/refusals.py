"""Answers to clients whose messages cannot be read."""

from collections.abc import Sequence

import msgspec
import zmq

from ssa_stream.errors import MessageError
from ssa_stream.printable import printable_lines
from ssa_stream.protocols import VERSION, ErrorCode, ErrorReply, Limits
from ssa_stream.protocols.header import nesting_depth

__all__ = ["CONTROL_LIMITS", "MASK_LIMITS", "note", "refusal"]

CONTROL_LIMITS = Limits(max_frames=4, max_buffer_bytes=2**16, max_message_bytes=2**18)
"""Of everything but masks: headers only."""
MASK_LIMITS = Limits()
"""Of masks."""


MAX_NOTE = 1000


class _Asked(msgspec.Struct):
    """As much of a request as can be read of any version."""

    v: tuple[int, int] = VERSION
    request_id: str = ""


_ASKED = msgspec.msgpack.Decoder(_Asked)


def refusal(parts: Sequence[zmq.Frame], error: MessageError, limits: Limits) -> ErrorReply:
    """The answer to parts that `decode` did not take; carries the request's id if that can be found."""
    asked = _read(parts, limits)
    code = ErrorCode.VERSION if asked.v[0] != VERSION[0] else ErrorCode.INVALID
    try:
        return msgspec.convert(
            {"type": "error", "code": code.value, "text": note(str(error)), "request_id": asked.request_id or None},
            ErrorReply,
        )
    except msgspec.ValidationError:  # an id that no answer may carry
        return ErrorReply(code=code, text=note(str(error)))


def note(text: str) -> str:
    """A text short enough for a message, and with nothing hidden in it that a reader's terminal would obey."""
    text = printable_lines(text)
    return text if len(text) <= MAX_NOTE else text[: MAX_NOTE - 3] + "..."


def _read(parts: Sequence[zmq.Frame], limits: Limits) -> _Asked:
    if len(parts) < 2 or len(parts[1]) > limits.max_header_bytes:
        return _Asked()
    header = parts[1].bytes
    if nesting_depth(header, limits.max_depth) > limits.max_depth:
        return _Asked()
    try:
        return _ASKED.decode(header)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return _Asked()
