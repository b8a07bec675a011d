"""State of a source, and how the graph keeps up with it; the last values are kept for late subscribers."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from ssa_stream.protocols.fields import (
    MAX_LISTED,
    ClockName,
    Keyword,
    Name,
    Nanoseconds,
    Note,
    Positive,
    Size,
    Whole,
)
from ssa_stream.protocols.health import DropCount
from ssa_stream.protocols.message import Message

__all__ = ["SourceState", "StreamLoad"]


class SourceState(Message, frozen=True, kw_only=True, tag="source_state"):
    """What is known of the source of a stream.

    Attributes:
        stream: Which stream.
        status: `starting`, `running`, `stalled` (silent, still connected), `lost` (tried again), `ended`, `stopped` or
            `failed`. Open: others may come.
        epoch: Of the newest frame; see FrameIdentity.
        at_ns: When this was so.
        clock: Clock of `at_ns`.
        live: Whether it is a live source, of which frames may be dropped.
        flow: `freshest`, for live sources, or `every_frame`.
        address: Where it comes from, without secrets.
        size: Height and width; None before the first frame.
        rate_hz: Frames that come per second, measured over the last three seconds; None if none came in them.
        frames: Frames that came in this epoch.
        text: What is wrong, for people; empty if nothing is.
        memory: Number of the stream's memory; grows when the source begins anew.
        next_index: Index that the next frame will have if the node that reads it is restarted: of the oldest unfinished
            one where no frame may be lost.
        frames_done: Frames of the source, from its beginning, that are finished.
        next_prompt_number: Number for the next prompt that comes without an id.
        drops: Frames that got no masks, by reason, since the node started.
        code: What is wrong, for programs, such as `refused`, `auth_failed`, `stalled` or `lost`; None if nothing is.
            Open: others may come.
        attempt: Attempts to connect since the last frame, the present one included; 0 while frames come.
        retry_in_s: Seconds from `at_ns` to the next attempt; None if none is being waited for.
        complete_at: How the end of its newest picture was found: `marker`, by the marker of its last RTP packet, or
            `next_picture`, by the beginning of the next one, one frame interval later. Absent where pictures come
            whole. Open: others may come.
    """

    stream: Name
    status: Keyword
    epoch: Whole
    at_ns: Nanoseconds
    clock: ClockName
    live: bool
    flow: Literal["freshest", "every_frame"]
    address: Annotated[str, Meta(max_length=2000)] = ""
    size: Size | None = None
    rate_hz: Annotated[float, Meta(gt=0, le=1e6)] | None = None
    frames: Whole = 0
    text: Note = ""
    memory: Whole = 0
    next_index: Whole = 0
    frames_done: Whole = 0
    next_prompt_number: Positive = 1
    drops: Annotated[tuple[DropCount, ...], Meta(max_length=MAX_LISTED)] = ()
    code: Keyword | None = None
    attempt: Whole = 0
    retry_in_s: Annotated[float, Meta(ge=0, le=1e6)] | None = None
    complete_at: Keyword | UnsetType = UNSET


class StreamLoad(Message, frozen=True, kw_only=True, tag="stream_load"):
    """Whether the graph keeps up with a stream; told once a second by the broker.

    Attributes:
        stream: Which stream.
        at_ns: When this was so.
        clock: Clock of `at_ns`.
        masks_hz: Frames that get masks per second, over the last three seconds; 0 if none did.
        stage: The stage that is most busy while the stream is overloaded: a role, or `outputs`; None if it is not
            overloaded, or no stage is known to be busy. Open: others may come.
        text: While it is overloaded, how much comes and gets masks, which stage is too slow, and what would help; empty
            if it is not.
    """

    stream: Name
    at_ns: Nanoseconds
    clock: ClockName
    masks_hz: Annotated[float, Meta(ge=0, le=1e6)]
    stage: Keyword | None = None
    text: Note = ""
