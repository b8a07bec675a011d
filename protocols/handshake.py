"""Handshake: hello and welcome messages."""

from typing import Annotated

from msgspec import Meta

from ssa_stream.protocols.fields import MAX_LISTED, Keyword, Name, Whole
from ssa_stream.protocols.message import Message
from ssa_stream.protocols.version import SUPPORTED_VERSIONS

__all__ = ["Hello", "Welcome"]


class Hello(Message, frozen=True, kw_only=True, tag="hello"):
    """Name of a peer and the versions that it reads. Always written as version 1.0, so that every version can read it.

    Attributes:
        request_id: Returned with the answer.
        node: Name of the peer.
        role: What it does. Open.
        incarnation: Another number for every start of the peer, growing.
        versions: Versions that it reads, the newest minor of each major.
        features: What it can do beyond the version's minimum. Open.
    """

    request_id: Name
    node: Name
    role: Keyword
    incarnation: Whole
    versions: Annotated[tuple[tuple[Whole, Whole], ...], Meta(min_length=1, max_length=16)] = SUPPORTED_VERSIONS
    features: Annotated[tuple[Keyword, ...], Meta(max_length=MAX_LISTED)] = ()


class Welcome(Message, frozen=True, kw_only=True, tag="welcome"):
    """Answer to a hello: from now on both write `version`. A refusal is an `ErrorReply` with code `version`.

    Attributes:
        request_id: Of the hello.
        node: Name of the peer that answers.
        role: What it does. Open.
        incarnation: Another number for every start, growing.
        version: Chosen by `negotiate`.
        features: What both can do beyond the version's minimum.
    """

    request_id: Name
    node: Name
    role: Keyword
    incarnation: Whole
    version: tuple[Whole, Whole]
    features: Annotated[tuple[Keyword, ...], Meta(max_length=MAX_LISTED)] = ()
