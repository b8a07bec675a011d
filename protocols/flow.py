"""Flow of frames: which are done with, and which will not come."""

from ssa_stream.protocols.fields import Keyword, Name, Whole
from ssa_stream.protocols.identity import FrameIdentity
from ssa_stream.protocols.message import Message

__all__ = ["DropNotice", "Finished"]


class Finished(Message, frozen=True, kw_only=True, tag="finished"):
    """Every frame of the stream up to this one is done with, by epoch then number: emitted or dropped.

    There is room for as many more. From the last node of the path to the broker, on the link of its masks, after them;
    from the broker to ingest, once those masks are published.

    Attributes:
        node: Who tells it.
        incarnation: Of that node.
        stream: Which stream.
        epoch: Of the frame.
        seq: Its number within the epoch.
    """

    node: Name
    incarnation: Whole
    stream: Name
    epoch: Whole
    seq: Whole


class DropNotice(Message, frozen=True, kw_only=True, tag="drop"):
    """A node dropped a frame: nobody downstream need wait for it. Goes the way that the frame would have gone.

    Attributes:
        frame: Which frame.
        node: Who dropped it.
        reason: A `DropReason`.
        prompt_id: For which prompt; None for all.
        frames_missed: As in the frame's work.
    """

    frame: FrameIdentity
    node: Name
    reason: Keyword
    prompt_id: Name | None = None
    frames_missed: Whole = 0
