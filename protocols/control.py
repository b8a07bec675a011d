"""Requests about sources and parameters, and the general replies to any request: accepted, or an error."""

from enum import StrEnum
from typing import Annotated, Literal

from msgspec import Meta

from ssa_stream.protocols.fields import MAX_LISTED, Keyword, Name, Note, Whole
from ssa_stream.protocols.message import Message

__all__ = ["Accepted", "ErrorCode", "ErrorReply", "ReloadWeights", "Reloaded", "SetParameters", "SourceRequest"]

_INT64_MAX = 2**63 - 1
Parameter = (
    bool
    | Annotated[int, Meta(ge=-_INT64_MAX, le=_INT64_MAX)]
    | Annotated[float, Meta(ge=-1e300, le=1e300)]
    | Annotated[str, Meta(max_length=1000)]
    | None
)


class ErrorCode(StrEnum):
    """Why a request was refused. Open: others may come."""

    INVALID = "invalid"
    UNKNOWN_REQUEST = "unknown_request"
    UNKNOWN_STREAM = "unknown_stream"
    UNKNOWN_PROMPT = "unknown_prompt"
    TOO_MANY = "too_many"
    VERSION = "version"
    BUSY = "busy"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"
    WEIGHTS_REFUSED = "weights_refused"
    """The weights cannot be taken; the graph goes on with those that it has."""


class SourceRequest(Message, frozen=True, kw_only=True, tag="source"):
    """Start, stop or reconnect the source of a stream.

    Attributes:
        request_id: Returned with the answer.
        stream: Which stream.
        action: What to do.
        address: Another source for the stream, as `open_source` takes it; None keeps the one it has.
    """

    request_id: Name
    stream: Name
    action: Literal["start", "stop", "reconnect"]
    address: Annotated[str, Meta(min_length=1, max_length=2000)] | None = None


class SetParameters(Message, frozen=True, kw_only=True, tag="parameters"):
    """Change settings of a stream that may change while it runs.

    Attributes:
        request_id: Returned with the answer.
        stream: Which stream.
        parameters: New values by name. All are taken or none.
    """

    request_id: Name
    stream: Name
    parameters: Annotated[dict[Keyword, Parameter], Meta(max_length=MAX_LISTED)]


class ReloadWeights(Message, frozen=True, kw_only=True, tag="reload_weights"):
    """Let all nodes of the graph take the weights that are in the checkpoint's file now. Answered with `reloaded`.

    Attributes:
        request_id: Returned with the answer.
    """

    request_id: Name


class Reloaded(Message, frozen=True, kw_only=True, tag="reloaded"):
    """All nodes of the graph have the weights that are in the checkpoint's file.

    Attributes:
        request_id: Of the request.
        weights: Their fingerprint; see `heartbeat`.
        nodes: Nodes that were started again; none if all had them already.
    """

    request_id: Name
    weights: Name
    nodes: Annotated[tuple[Name, ...], Meta(max_length=MAX_LISTED)] = ()


class Accepted(Message, frozen=True, kw_only=True, tag="accepted"):
    """A request that has no reply of its own was carried out.

    Attributes:
        request_id: Of the request.
        stream: Which stream.
        epoch: Epoch of the stream from then on; None if it has none yet.
    """

    request_id: Name
    stream: Name
    epoch: Whole | None = None


class ErrorReply(Message, frozen=True, kw_only=True, tag="error"):
    """A request was refused, and nothing was changed.

    Attributes:
        code: An `ErrorCode`, for programs.
        text: What came, what was expected and what to do, for people.
        request_id: Of the request; None if that could not be read.
    """

    code: Keyword
    text: Note
    request_id: Name | None = None
