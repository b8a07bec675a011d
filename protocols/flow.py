"""Flow between nodes: room for more, and frames that will not come."""

from typing import Annotated

from msgspec import Meta

from ssa_stream.protocols.fields import Keyword, Name, Whole
from ssa_stream.protocols.identity import FrameIdentity
from ssa_stream.protocols.message import Message

__all__ = ["Credit", "DropNotice"]


class Credit(Message, frozen=True, kw_only=True, tag="credit"):
    """A receiver has room for more frames of an `every_frame` stream.

    Attributes:
        node: The receiver.
        incarnation: Of the receiver; credit of an earlier one is void.
        stream: Which stream.
        count: How many more frames.
    """

    node: Name
    incarnation: Whole
    stream: Name
    count: Annotated[int, Meta(ge=1, le=65535)]


class DropNotice(Message, frozen=True, kw_only=True, tag="drop"):
    """A node dropped a frame: nobody downstream need wait for it.

    Attributes:
        frame: Which frame.
        node: Who dropped it.
        reason: A `DropReason`.
        prompt_id: For which prompt; None for all.
    """

    frame: FrameIdentity
    node: Name
    reason: Keyword
    prompt_id: Name | None = None
