"""The work on one frame: all prompts of its stream, each with the number of frames that queries are made of."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from ssa_stream.protocols.fields import MAX_PROMPTS, Whole
from ssa_stream.protocols.identity import (
    AppliesFrom,
    FrameIdentity,
    FrameSizes,
    Prompt,
    StageTimes,
    expect_unique_ids,
)

__all__ = ["FrameWork", "WorkPrompt"]

MAX_FRAMES = 4096


class WorkPrompt(Struct, frozen=True, kw_only=True):
    """A prompt that applies to a frame.

    Attributes:
        prompt: The prompt.
        frames: Of how many newest frames queries are made under it: 1, or all recent ones where its memory is to be
            made anew.
    """

    prompt: Prompt
    frames: Annotated[int, Meta(ge=1, le=MAX_FRAMES)] = 1


class FrameWork(Struct, frozen=True, kw_only=True):
    """A frame with all that applies to it; every message about the frame carries it on.

    Its rows are pairs of a prompt and a frame: first the newest frame under every prompt, then, prompt by prompt, the
    frames before it from oldest to newest. So the rows of the newest frame are the same ones with and without others.

    Attributes:
        frame: Which frame.
        sizes: Of the frame.
        prompts: All prompts of the stream, in order of adding.
        prompts_version: Version of the stream's prompts that these are, fixed once for all nodes.
        applies_from: First frame that they apply to.
        memory: Grows when the source begins anew: what was seen under another number says nothing about this frame.
        frames_missed: Numbers within the epoch between the frame sent before this one and this one: frames that were
            dropped or lost.
        times: Of the stages so far.
        is_blank: Whether the frame shows nothing, so that nothing is found in it; absent if it shows something.
    """

    frame: FrameIdentity
    sizes: FrameSizes
    prompts: Annotated[tuple[WorkPrompt, ...], Meta(max_length=MAX_PROMPTS)]
    prompts_version: Whole
    applies_from: AppliesFrom
    memory: Whole
    frames_missed: Whole = 0
    times: StageTimes = ()
    is_blank: bool | UnsetType = UNSET

    def __post_init__(self) -> None:
        expect_unique_ids(item.prompt for item in self.prompts)

    @property
    def num_rows(self) -> int:
        """Rows of all prompts together."""
        return sum(item.frames for item in self.prompts)

    @property
    def num_history(self) -> int:
        """Earlier frames that the work needs beside its own."""
        return max((item.frames for item in self.prompts), default=1) - 1

    @property
    def is_replay(self) -> bool:
        """Whether queries are made of earlier frames too."""
        return self.num_history > 0

    def rows(self) -> tuple[tuple[int, int], ...]:
        """Of each row, in order, the position of its prompt and the age of its frame: 0 is the newest one."""
        newest = ((position, 0) for position in range(len(self.prompts)))
        earlier = (
            (position, age) for position, item in enumerate(self.prompts) for age in range(item.frames - 1, 0, -1)
        )
        return (*newest, *earlier)

    def expect_rows(self, first_row: int, count: int) -> None:
        """Refuse rows that the work does not have.

        Raises:
            ValueError: So that the codec says in which message it is.
        """
        if first_row + count > self.num_rows:
            raise ValueError(f"{count} rows from row {first_row} on, of a frame with {self.num_rows} rows")
