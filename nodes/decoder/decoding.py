"""Decoding of one stream: its state, frames that come again, and what is due in which order."""

from collections.abc import Sequence
from typing import NamedTuple

from ssa_stream.model import Stages
from ssa_stream.nodes.decoder.history import KeptState, StateHistory
from ssa_stream.protocols import DropNotice, DropReason, FrameWork
from ssa_stream.streaming import Prompt, SessionConfig
from ssa_stream.streaming.decoding import (
    DecoderState,
    DueFrame,
    IncomingFrame,
    PromptRows,
    decode_frames,
    flush_decoder,
)

__all__ = ["Due", "ResumableDecoder", "session_prompts"]


class Due(NamedTuple):
    """A frame whose masks are to be made.

    Attributes:
        work: Of the frame.
        frame: What was decoded.
        prompts_version: Of the prompts that it was decoded under; with lookahead they may be newer than its work.
    """

    work: FrameWork
    frame: DueFrame
    prompts_version: int


def session_prompts(work: FrameWork) -> tuple[Prompt, ...]:
    """The prompts of a frame, as sessions have them."""
    return tuple(Prompt(item.prompt.id, item.prompt.text, item.prompt.version) for item in work.prompts)


class ResumableDecoder:
    """Takes the frames of a stream and the notices of those that do not come, in order.

    Every one of them leaves again, in order: a frame as `Due` with the status `final`, or as the notice that was given
    for it. A call that raises changes nothing.

    Args:
        model: The network.
        config: Window, memory, lookahead.
        capacity: Most unfinished frames of the stream. When as many wait here, none can come: those that wait for
            lookahead are then made with what is known.
        history: To go on with.
    """

    def __init__(
        self,
        model: Stages,
        config: SessionConfig,
        capacity: int,
        *,
        history: StateHistory | None = None,
    ) -> None:
        self.history = history or StateHistory(capacity + 1)
        self._model, self._config, self._capacity = model, config, capacity
        self._open: tuple[FrameWork | DropNotice, ...] = ()

    def take_frame(self, work: FrameWork, rows: PromptRows | None) -> list[Due | DropNotice]:
        """Take a frame.

        Args:
            work: Its work.
            rows: Its queries under all prompts; None without prompts.
        Raises:
            ShapeError: Its size, or the shape of its pixels, changed within a memory.
            SessionStateError: Its time is not later than the last frame's.
        """
        (outcome,) = decode_frames(self._model, self._config, [self.next_step(work, rows)])
        return self.went_on(work, outcome)

    def next_step(self, work: FrameWork, rows: PromptRows | None) -> tuple[DecoderState, IncomingFrame]:
        """What `decode_frames` is given to take a frame; see `take_frame`."""
        before = self._before(work)
        return before.state, IncomingFrame(
            index=work.frame.index,
            t=work.frame.t,
            size=work.sizes.source,
            rows=rows,
            applies_from=work.applies_from.index or 0,
            frames_missed=work.frames_missed,
            begins_anew=before.memory is not None and before.memory != work.memory,
            pixel_aspect=work.sizes.source_pixel_aspect,
            is_blank=work.is_blank is True,
        )

    def went_on(self, work: FrameWork, outcome: tuple[DecoderState, Sequence[DueFrame]]) -> list[Due | DropNotice]:
        """Take over what `decode_frames` gave for a frame; nothing else was taken since `next_step`."""
        before, (state, due) = self._before(work), outcome
        if before is not self.history.last:
            self.history.back_to(before)
            self._open = tuple(item for item in self._open if item.frame.index < work.frame.index)
        self.history.append(KeptState(state, work.frame.index, work.frame.t, work.memory))
        self._open = (*self._open, work)
        return self._leave(due)

    def _before(self, work: FrameWork) -> KeptState:
        return self.history.before(work.frame.index, work.frame.t) or KeptState()

    def take_notice(self, notice: DropNotice) -> list[Due | DropNotice]:
        """Take a notice that a frame does not come, or that none comes for now."""
        waiting = (*self._open, notice)
        due: Sequence[DueFrame] = ()
        if notice.reason == DropReason.ENDED or len(waiting) >= self._capacity:
            last = self.history.last
            state, due = flush_decoder(self._model, last.state)
            self._replace_last(state)
        self._open = waiting
        return self._leave(due)

    def _replace_last(self, state: DecoderState) -> None:
        last = self.history.last
        self.history.append(KeptState(state, last.index, last.t, last.memory))

    def _leave(self, due: Sequence[DueFrame]) -> list[Due | DropNotice]:
        """What goes on: due frames, and notices that no frame is before any more."""
        leaving: list[Due | DropNotice] = []
        for frame in due:
            leaving += self._notices()
            work = next((item for item in self._open if _is_work_of(item, frame)), None)
            if not isinstance(work, FrameWork):  # it was out before it came again
                continue
            leaving.append(Due(work, frame, self._version_for(work)))
            if frame.status == "final":
                self._open = tuple(item for item in self._open if item is not work)
        return leaving + self._notices()

    def _version_for(self, due: FrameWork) -> int:
        """The newest version of those that came with a frame or a later one and apply to it."""
        later = (item for item in self._open if isinstance(item, FrameWork))
        applied = (item for item in later if (item.applies_from.index or 0) <= (due.frame.index or 0))
        return max([due.prompts_version, *(item.prompts_version for item in applied)])

    def _notices(self) -> list[Due | DropNotice]:
        leaving: list[Due | DropNotice] = []
        while self._open and isinstance(self._open[0], DropNotice):
            leaving.append(self._open[0])
            self._open = self._open[1:]
        return leaving


def _is_work_of(item: FrameWork | DropNotice, due: DueFrame) -> bool:
    return isinstance(item, FrameWork) and item.frame.index == due.stamp.index
