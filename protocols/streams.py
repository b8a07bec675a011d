"""From the broker to the node that ingests a stream: where it begins, goes on, or begins a new epoch."""

from ssa_stream.protocols.fields import Keyword, Name, Note, Positive, Whole
from ssa_stream.protocols.identity import Prompts, expect_unique_ids
from ssa_stream.protocols.message import Message

__all__ = ["Recover", "StartStream"]


class StartStream(Message, frozen=True, kw_only=True, tag="start_stream"):
    """Where a stream begins or goes on; sent to an ingest node after its hello.

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
