"""Events of streams and nodes, each published once, and the reasons for dropped frames."""

from enum import StrEnum
from typing import Literal

from ssa_stream.protocols.fields import ClockName, Keyword, Name, Nanoseconds, Note, Whole
from ssa_stream.protocols.message import Message

__all__ = ["DropReason", "Event", "EventKind"]


class DropReason(StrEnum):
    """Why a frame got no masks. Open: others may come."""

    STALE = "stale"
    """Older than the staleness budget."""
    OVERTAKEN = "overtaken"
    """A newer frame took its place."""
    QUEUE_FULL = "queue_full"
    GAP = "gap"
    """Lost on the way: it did not come in time."""
    NODE_RESTART = "node_restart"
    """It was in a node that ended."""
    FAILED = "failed"
    """The work on it failed."""
    DUPLICATE = "duplicate"
    """It came twice."""
    BACKLOG = "backlog"
    """It had piled up before the connection to a live source was ready, and was old."""
    REPEATED = "repeated"
    """An earlier connection to the source had delivered it already."""
    UNPROCESSED = "unprocessed"
    """It was read, and the source was ended or closed before its turn."""
    ENDED = "ended"
    """No frame is lost: none follows for now, and those that wait for later ones are made with what is known."""


class EventKind(StrEnum):
    """What happened. Open: others may come."""

    SOURCE_LOST = "source_lost"
    SOURCE_REGAINED = "source_regained"
    SOURCE_ENDED = "source_ended"
    EPOCH = "epoch"
    PROMPTS_CHANGED = "prompts_changed"
    GAP = "gap"
    FRAMES_DROPPED = "frames_dropped"
    INPUT_WARNING = "input_warning"
    """A source, a prompt or a data set is incomplete."""
    OUTPUT_FAILED = "output_failed"
    """A file that the graph writes ended before its stream; the text says why and what is in it."""
    NODE_LOST = "node_lost"
    NODE_RESTARTED = "node_restarted"
    OVERLOAD = "overload"
    """Frames of a live source are dropped steadily because the graph is too slow; the text says why and what helps."""
    OVERLOAD_ENDED = "overload_ended"
    """The graph keeps up with the source again, or the source gives no more frames."""
    LAUNCHER_AWAY = "launcher_away"
    """The process of launcher and broker did not run for a while, and goes on now."""
    WEIGHTS_CHANGED = "weights_changed"
    """The weights that a node would load are not those that the graph runs with; it is not started with them."""
    WEIGHTS_RELOADED = "weights_reloaded"
    """All nodes of the graph were started with other weights."""


class Event(Message, frozen=True, kw_only=True, tag="event"):
    """Something happened.

    Attributes:
        kind: An `EventKind`.
        node: Name of the node that reports it.
        at_ns: When.
        clock: Clock of `at_ns`.
        stream: Which stream; None if all or none.
        severity: For whoever filters.
        epoch: Epoch of the stream, the new one if it changed.
        seq: First frame that it is about.
        frames_lost: How many frames it cost.
        reason: A `DropReason` if frames were lost.
        about_node: Node that it happened to.
        prompt_id: Prompt that it is about.
        prompts_version: Version of the stream's prompts after it.
        text: For people.
    """

    kind: Keyword
    node: Name
    at_ns: Nanoseconds
    clock: ClockName
    stream: Name | None = None
    severity: Literal["info", "warning", "error"] = "info"
    epoch: Whole | None = None
    seq: Whole | None = None
    frames_lost: Whole = 0
    reason: Keyword | None = None
    about_node: Name | None = None
    prompt_id: Name | None = None
    prompts_version: Whole | None = None
    text: Note = ""
