"""Fields that messages about a frame share: frame identity, prompts, sizes, stage times and names of clocks."""

import platform
import re
from collections.abc import Iterable
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from ssa_stream.printable import hidden_characters, printable
from ssa_stream.protocols.fields import (
    MAX_PROMPTS,
    ClockName,
    Keyword,
    Name,
    Nanoseconds,
    PixelAspect,
    PromptText,
    Seconds,
    Size,
    Whole,
)

__all__ = [
    "AppliesFrom",
    "FrameIdentity",
    "FrameSizes",
    "Prompt",
    "Prompts",
    "StageTime",
    "StageTimes",
    "Status",
    "expect_plain_text",
    "expect_unique_ids",
    "host_clock_name",
]

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_ID_LENGTH = 12

Status = Literal["final", "provisional"]


class FrameIdentity(Struct, frozen=True, kw_only=True):
    """Which picture of which stream.

    Attributes:
        stream: Name of the stream.
        epoch: Grows at every reconnect and change of size of the source, and at every restart of a node.
        seq: Number of the frame within its epoch, from 0. A hole means frames that were dropped.
        index: Number of the frame in its stream, from 0, across epochs; frames that are sent are numbered without
            holes, and one that is sent again in a new epoch keeps its number.
        t: Stream time in seconds, strictly increasing within an epoch.
        t_receive_ns: When the frame came out of its source.
        receive_clock: Clock of `t_receive_ns`.
        pts: Presentation time as the source wrote it, in units of `time_base`; None when it wrote none.
        time_base: Seconds per unit of `pts`, numerator and denominator.
        t_capture_ns: When the picture was taken; None when not known.
        capture_clock: Clock of `t_capture_ns`; None with it.
        live: Whether its source is live, so that the newest frame counts more than all frames: it may be dropped when
            it is old.
    """

    stream: Name
    epoch: Whole
    seq: Whole
    index: Whole
    t: Seconds
    t_receive_ns: Nanoseconds
    receive_clock: ClockName
    pts: Nanoseconds | None = None
    time_base: tuple[Annotated[int, Meta(ge=1, le=2**31 - 1)], Annotated[int, Meta(ge=1, le=2**31 - 1)]] | None = None
    t_capture_ns: Nanoseconds | None = None
    capture_clock: ClockName | None = None
    live: bool = False

    def __post_init__(self) -> None:
        if self.pts is not None and self.time_base is None:
            raise ValueError("pts without time_base; expected both")
        if (self.t_capture_ns is None) != (self.capture_clock is None):
            raise ValueError("expected t_capture_ns and capture_clock together, or neither")


class Prompt(Struct, frozen=True, kw_only=True):
    """A sentence that a stream is searched for.

    Attributes:
        id: Name within the stream.
        text: The sentence.
        version: Version of the stream's prompts that brought it; two sentences of a stream never share one id and
            version.
    """

    id: Name
    text: PromptText
    version: Whole

    def __post_init__(self) -> None:
        expect_plain_text(self.text)


Prompts = Annotated[tuple[Prompt, ...], Meta(max_length=MAX_PROMPTS)]


def expect_unique_ids(prompts: Iterable[Prompt]) -> None:
    """Refuse two prompts of one id.

    Raises:
        ValueError: So that the codec says in which message it is.
    """
    ids = [prompt.id for prompt in prompts]
    if len(set(ids)) < len(ids):
        raise ValueError(f"prompts with ids {', '.join(ids)}; expected another id for each")


def expect_plain_text(text: str) -> None:
    """Refuse a sentence with characters that a terminal obeys or nobody sees; white space of any kind may be in it.

    Raises:
        ValueError: So that the codec says in which message it is.
    """
    # Of another type? A sender may make such a thing; the codec refuses it.
    hidden = hidden_characters(" ".join(text.split())) if isinstance(text, str) else ""
    if hidden:
        raise ValueError(
            f"prompt '{printable(text)}' has characters that a terminal obeys or nobody sees ({hidden}); expected "
            "plain text"
        )


class AppliesFrom(Struct, frozen=True, kw_only=True):
    """The first frame whose results follow a change: that of this epoch and number, or the next one that comes.

    Attributes:
        epoch: Of that frame. Frames are ordered by epoch, then by number.
        seq: Its number within the epoch.
        index: Its number in the stream, across epochs; None if not known yet.
    """

    epoch: Whole
    seq: Whole
    index: Whole | None = None

    def covers(self, frame: FrameIdentity) -> bool:
        """Whether a frame of the stream is that one or a later one."""
        return (frame.epoch, frame.seq) >= (self.epoch, self.seq)


class FrameSizes(Struct, frozen=True, kw_only=True):
    """Sizes that a frame passes through, height and width each.

    Attributes:
        source: As it came.
        network: As the network sees it, before padding.
        padded: After padding.
        pixel_aspect: Width of the source's pixels and their height; absent for square pixels. The network's are square.
    """

    source: Size
    network: Size
    padded: Size
    pixel_aspect: PixelAspect | UnsetType = UNSET

    @property
    def source_pixel_aspect(self) -> Fraction:
        """Width of the source's pixels divided by their height."""
        return Fraction(1) if isinstance(self.pixel_aspect, UnsetType) else Fraction(*self.pixel_aspect)


class StageTime(Struct, frozen=True, kw_only=True):
    """When one node worked on a frame.

    Attributes:
        role: What the node does: `ingest`, `encoder`, `queries`, `decoder`, `masks`.
        node: Its name.
        clock: Clock of the three times.
        received_ns: Its input was there.
        begin_ns: Work began.
        end_ns: Work was done; of the last stage: the message was made.
    """

    role: Keyword
    node: Name
    clock: ClockName
    received_ns: Nanoseconds
    begin_ns: Nanoseconds
    end_ns: Nanoseconds


StageTimes = Annotated[tuple[StageTime, ...], Meta(max_length=32)]


@cache
def host_clock_name() -> str:
    """Name of this machine's monotonic clock, as messages carry it.

    `monotonic:` and the beginning of the boot's id: two boots, or two hosts, never share a name. Where the system tells
    no boot's id, the host's name tells hosts apart, though not boots.
    """
    try:
        owner = _BOOT_ID.read_text(encoding="ascii").strip().replace("-", "")[:_ID_LENGTH]
    except OSError:  # not Linux
        owner = re.sub(r"[^A-Za-z0-9_.-]", "-", platform.node())[:64]
    return f"monotonic:{owner or 'host'}"
