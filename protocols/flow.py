"""Flow of a stream's frames: start, recovery after a lost node, finished and dropped frames."""

from ssa_stream.protocols.fields import Keyword, Name, Note, Positive, Whole
from ssa_stream.protocols.identity import FrameIdentity, Prompts, expect_unique_ids
from ssa_stream.protocols.message import Message

__all__ = ["DropNotice", "Finished", "Recover", "StartStream"]


class StartStream(Message, frozen=True, kw_only=True, tag="start_stream"):
    """Where a stream starts or continues; sent to an ingest node after its hello.

    Attributes:
        stream: Which stream.
        epoch: Its first epoch from now on.
        next_index: Index of its first frame from now on.
        memory: Number of the stream's memory, as in the work of its frames.
        prompts: Its prompts, in order of adding.
        version: Of the stream's prompts.
        next_prompt_number: Where the numbering of prompts that come without an id goes on.
        frames_done: Frames of the source that earlier incarnations of the node finished; a file goes on after them.
    """

    stream: Name
    epoch: Whole
    next_index: Whole
    memory: Whole
    prompts: Prompts
    version: Whole
    next_prompt_number: Positive
    frames_done: Whole

    def __post_init__(self) -> None:
        expect_unique_ids(self.prompts)


class Recover(Message, frozen=True, kw_only=True, tag="recover"):
    """A node was lost and is back: begin a new epoch, and send again what is not finished and may not be lost.

    Attributes:
        stream: Which stream.
        about_node: The node that was lost.
        reason: Why it was lost. Open.
        text: For people.
    """

    stream: Name
    about_node: Name
    reason: Keyword
    text: Note = ""


class Finished(Message, frozen=True, kw_only=True, tag="finished"):
    """Every frame of the stream up to this one is finished, by epoch then number: emitted or dropped.

    As many more may be sent. From the last node of the path to the broker, on the link of its masks, after them; from
    the broker to ingest, once those masks are published.

    Attributes:
        node: Node that reports it.
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
    """A node dropped a frame: no later node waits for it. Sent along the path of the frame.

    Attributes:
        frame: Which frame.
        node: Node that dropped it.
        reason: A `DropReason`.
        prompt_id: For which prompt; None for all.
        frames_missed: As in the frame's work.
    """

    frame: FrameIdentity
    node: Name
    reason: Keyword
    prompt_id: Name | None = None
    frames_missed: Whole = 0
