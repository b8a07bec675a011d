"""From frame queries to video queries: order of time, windows of all prompts, and which frame is due."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from ssa_stream.model import Stages
from ssa_stream.streaming.config import SessionConfig
from ssa_stream.streaming.prompts import Prompt
from ssa_stream.streaming.saving import state_from_bytes, state_to_bytes
from ssa_stream.streaming.timeline import FrameStamp, Timeline
from ssa_stream.streaming.window import FrameBatch, WindowState, WindowStep, advance_windows

__all__ = [
    "DecoderState",
    "DueFrame",
    "IncomingFrame",
    "PromptRows",
    "PromptWindow",
    "decode_frame",
    "decode_frames",
    "flush_decoder",
    "take_rows",
]


@dataclass(frozen=True, slots=True, eq=False)
class PromptRows:
    """Queries of the newest frame under all prompts, and of frames before it where a memory is to be made anew.

    Attributes:
        prompts: All of the stream, in order.
        counts: How many of the newest frames there are rows of, for each prompt.
        queries: Rows in the order of `encoding.plan_rows`, `(R, N, C)`.
        text: `(R, C)`.
    """

    prompts: tuple[Prompt, ...]
    counts: tuple[int, ...]
    queries: Tensor
    text: Tensor

    def batch(self, position: int, count: int) -> FrameBatch:
        """Rows of the `count` newest frames of the prompt at a position, oldest first."""
        newest = FrameBatch(self.queries[position : position + 1], self.text[position : position + 1])
        if count == 1:
            return newest
        end = sum(self.counts[: position + 1]) + len(self.counts) - position - 1
        earlier = slice(end - count + 1, end)
        return FrameBatch(
            torch.cat([self.queries[earlier], newest.queries]), torch.cat([self.text[earlier], newest.text])
        )


@dataclass(frozen=True, slots=True, eq=False)
class IncomingFrame:
    """What decoding takes of a frame.

    Attributes:
        index: Its number; frames before it that replayed rows belong to have the numbers before it.
        t: Its time in seconds; None puts it one frame interval after the last one.
        size: Of the source, `(height, width)`.
        rows: None without prompts.
        applies_from: No frame before this one has results under prompts that are new with this frame.
        frames_missed: Frames that are known to be lost just before it; times may tell of more.
        begins_anew: The source began anew before this frame: times and size have nothing to do with those before.
        pixel_aspect: Width of the source's pixels divided by their height.
        is_blank: It shows nothing: it is remembered like any frame, but nothing is found in it.
    """

    index: int
    t: float | None
    size: tuple[int, int]
    rows: PromptRows | None
    applies_from: int = 0
    frames_missed: int = 0
    begins_anew: bool = False
    pixel_aspect: Fraction = Fraction(1)
    is_blank: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class PromptWindow:
    """The memory of one prompt.

    Attributes:
        prompt: The prompt.
        window: Its window.
        frames: Numbers of the frames in it, oldest first.
        applies_from: No frame before this one has results under the prompt.
    """

    prompt: Prompt
    window: WindowState
    frames: tuple[int, ...]
    applies_from: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class DecoderState:
    """What decoding remembers of a stream. Nothing in it is ever changed in place.

    Attributes:
        timeline: Times and numbers of frames.
        windows: Of the prompts that have seen a frame, in the prompts' order.
        pending: Frames whose final results wait for lookahead.
        memory_from: Number of the first frame of the present memory.
    """

    timeline: Timeline = field(default_factory=Timeline)
    windows: tuple[PromptWindow, ...] = ()
    pending: tuple[FrameStamp, ...] = ()
    memory_from: int = 0

    @property
    def next_due_index(self) -> int:
        """Number of the next frame that gets final results."""
        return self.pending[0].index if self.pending else self.timeline.next_index

    def only(self, prompts: Sequence[Prompt]) -> "DecoderState":
        """The state without the windows of other prompts, in the order of these."""
        windows = {item.prompt: item for item in self.windows}
        return replace(self, windows=tuple(windows[prompt] for prompt in prompts if prompt in windows))

    def cleared(self) -> "DecoderState":
        """The state without any memory of frames; numbers and times stay."""
        return replace(self, windows=(), pending=())

    def reset(self) -> "DecoderState":
        """The state for a source that begins anew: its times and size have nothing to do with those before."""
        return replace(self.cleared(), timeline=self.timeline.reset())

    def to_bytes(self) -> bytes:
        """Serialise without pickle."""
        return state_to_bytes(self, "decoder")

    @classmethod
    def from_bytes(cls, data: bytes, device: torch.device | str = "cpu") -> "DecoderState":
        """Read a state back; see `SessionState.from_bytes`.

        Raises:
            SessionStateError: Not a decoder's state, damaged, or of another format version.
        """
        return state_from_bytes(data, cls, "decoder", device)


@dataclass(frozen=True, slots=True, eq=False)
class DueFrame:
    """Video queries of a frame whose masks are to be made.

    Attributes:
        stamp: Which frame.
        size: Of the source, `(height, width)`.
        prompts: Those that it has queries of.
        probability: `(P, N)` float32; 0 in a blank frame.
        mask_embedding: With the frame's mask features it gives its masks, `(P, N, C)`.
        aligned: The frame's queries in slot order, `(P, N, C)`; the identity of slots.
        status: `provisional` if it comes again.
        memory_from: Number of the first frame of the memory; tracks of an earlier memory do not go on.
        pixel_aspect: Width of the source's pixels divided by their height.
    """

    stamp: FrameStamp
    size: tuple[int, int]
    prompts: tuple[Prompt, ...]
    probability: Tensor
    mask_embedding: Tensor
    aligned: Tensor
    status: Literal["final", "provisional"]
    memory_from: int
    pixel_aspect: Fraction = Fraction(1)


class _Decoded(NamedTuple):
    """A window and what decoding it gave."""

    memory: PromptWindow
    step: WindowStep


def decode_frame(
    model: Stages, config: SessionConfig, state: DecoderState, incoming: IncomingFrame
) -> tuple[DecoderState, list[DueFrame]]:
    """Take the next frame.

    Args:
        model: The network.
        config: Window, memory, lookahead.
        state: Before the frame.
        incoming: The frame. A prompt without a window uses all its rows, others only that of the newest frame.
    Returns:
        The state after it and the frames that are due: those that waited when the memory ended before this frame,
        then the one whose lookahead is complete, also without prompts, then this one if provisional results are asked.
    Raises:
        ShapeError: Its size, or the shape of its pixels, changed.
        SessionStateError: Its time is not later than the last frame's.
    """
    (outcome,) = decode_frames(model, config, [(state, incoming)])
    return outcome


def decode_frames(
    model: Stages, config: SessionConfig, frames: Sequence[tuple[DecoderState, IncomingFrame]]
) -> list[tuple[DecoderState, list[DueFrame]]]:
    """Take the next frame of several streams; windows of one length are decoded as one batch.

    Args:
        model: The network.
        config: Of all of them.
        frames: State and frame of each stream, see `decode_frame`.
    Returns:
        What `decode_frame` gives for each, but for rounding.
    Raises:
        ShapeError: The size of one, or the shape of its pixels, changed.
        SessionStateError: The time of one is not later than that of its last frame.
    """
    accepted = [_accept(model, config, state, incoming) for state, incoming in frames]
    rows = {
        i: _NewRows(
            {item.prompt: item for item in one.state.windows}, new, at.index, at.applies_from, one.state.memory_from
        )
        for i, (one, (_, at)) in enumerate(zip(accepted, frames, strict=True))
        if (new := at.rows) is not None
    }
    decoded = dict(zip(rows, _decode_rows(model, config, list(rows.values())), strict=True))
    return [_finish(model, config, one, decoded.get(i, [])) for i, one in enumerate(accepted)]


class _Accepted(NamedTuple):
    """A frame that goes on from a state, before its windows are decoded.

    Attributes:
        state: Its windows are those before the frame.
        stamp: Of the frame.
        due: Frames that waited when the memory ended.
    """

    state: DecoderState
    stamp: FrameStamp
    due: list[DueFrame]


def _accept(model: Stages, config: SessionConfig, state: DecoderState, incoming: IncomingFrame) -> _Accepted:
    due: list[DueFrame] = []
    timeline = state.timeline.reset() if incoming.begins_anew else state.timeline
    timeline, stamp = replace(timeline, next_index=incoming.index).accept(
        incoming.size, incoming.t, config, incoming.pixel_aspect
    )
    missed = max(stamp.frames_missed, incoming.frames_missed)
    stamp = replace(stamp, frames_missed=missed, is_blank=incoming.is_blank)
    if stamp.after_reset or incoming.begins_anew:
        prompts = incoming.rows.prompts if incoming.rows else ()
        state, due = flush_decoder(model, state, kept_prompts=prompts, applies_from=incoming.applies_from)
        state = replace(state.cleared(), memory_from=incoming.index)
    return _Accepted(replace(state, timeline=timeline, pending=(*state.pending, stamp)), stamp, due)


def _finish(
    model: Stages, config: SessionConfig, accepted: _Accepted, decoded: Sequence[_Decoded]
) -> tuple[DecoderState, list[DueFrame]]:
    """The state after the windows were decoded; those of prompts that are no more are forgotten."""
    state, stamp, due = accepted
    state = replace(state, windows=tuple(item.memory for item in decoded))
    if len(state.pending) > config.lookahead:
        due.append(_due(model, state, decoded, state.pending[0]))
        state = replace(state, pending=state.pending[1:])
    if config.emit_provisional and config.lookahead and decoded:
        due.append(_due(model, state, decoded, stamp, "provisional"))
    return state, due


def take_rows(
    model: Stages, config: SessionConfig, state: DecoderState, rows: PromptRows, *, newest: int
) -> DecoderState:
    """Begin the windows of new prompts without a new frame.

    Args:
        model: The network.
        config: Window and memory.
        state: Windows of other prompts stay as they are.
        rows: Of the new prompts.
        newest: Number of the newest frame that there are rows of.
    """
    (decoded,) = _decode_rows(model, config, [_NewRows({}, rows, newest)])
    return replace(state, windows=(*state.windows, *(item.memory for item in decoded)))


def flush_decoder(
    model: Stages,
    state: DecoderState,
    *,
    kept_prompts: Collection[Prompt] | None = None,
    applies_from: int = 0,
) -> tuple[DecoderState, list[DueFrame]]:
    """Frames that wait for lookahead, with what is known. The memory stays.

    Args:
        model: The network.
        state: Before.
        kept_prompts: From `applies_from` on, only these give results; None for all.
        applies_from: Number of a frame.
    """
    if not state.pending:
        return state, []
    decoded = [_Decoded(item, _redecode(model, item.window)) for item in state.windows]
    due = []
    for stamp in state.pending:
        is_changed = kept_prompts is not None and stamp.index >= applies_from
        members = [item for item in decoded if not is_changed or item.memory.prompt in (kept_prompts or ())]
        due.append(_due(model, state, members, stamp))
    return replace(state, pending=()), due


class _NewRows(NamedTuple):
    """Rows of one stream that its windows are to take.

    Attributes:
        known: Windows before, by prompt; the others begin.
        rows: Of all prompts.
        newest: Number of the newest frame.
        applies_from: Of prompts that begin.
        oldest: No row of a frame before this one is used.
    """

    known: Mapping[Prompt, PromptWindow]
    rows: PromptRows
    newest: int
    applies_from: int = 0
    oldest: int = 0

    def used(self) -> list[int]:
        """How many rows of each prompt are used, the newest ones."""
        return [
            1 if prompt in self.known else min(count, self.newest + 1 - self.oldest)
            for prompt, count in zip(self.rows.prompts, self.rows.counts, strict=True)
        ]


def _decode_rows(model: Stages, config: SessionConfig, streams: Sequence[_NewRows]) -> list[list[_Decoded]]:
    """Move the windows of all prompts of several streams on."""
    used = [[min(count, config.window) for count in one.used()] for one in streams]
    known = [[one.known.get(prompt) for prompt in one.rows.prompts] for one in streams]
    steps = iter(
        advance_windows(
            model,
            [memory.window if memory else None for memories in known for memory in memories],
            [
                one.rows.batch(i, count)
                for one, counts in zip(streams, used, strict=True)
                for i, count in enumerate(counts)
            ],
            window=config.window,
            decay=config.decay,
        )
    )
    return [
        [
            _after_step(config, one, prompt, memory, count, next(steps))
            for prompt, memory, count in zip(one.rows.prompts, memories, counts, strict=True)
        ]
        for one, memories, counts in zip(streams, known, used, strict=True)
    ]


def _after_step(
    config: SessionConfig, new: _NewRows, prompt: Prompt, memory: PromptWindow | None, count: int, step: WindowStep
) -> _Decoded:
    frames = (*(memory.frames if memory else ()), *range(new.newest + 1 - count, new.newest + 1))[-config.window :]
    begins = memory.applies_from if memory else new.applies_from
    return _Decoded(PromptWindow(prompt, step.state, frames, begins), step)


def _due(
    model: Stages,
    state: DecoderState,
    decoded: Sequence[_Decoded],
    stamp: FrameStamp,
    status: Literal["final", "provisional"] = "final",
) -> DueFrame:
    """Video queries of a frame, for the prompts whose window has it."""
    members = [
        item for item in decoded if stamp.index >= item.memory.applies_from and stamp.index in item.memory.frames
    ]
    size = state.timeline.size
    assert size is not None  # a frame was accepted
    N, C = model.config.num_queries, model.config.hidden_dim
    empty = torch.zeros(0, N, C, device=model.device, dtype=model.dtype)
    aligned = [item.step.state.aligned[item.memory.frames.index(stamp.index)] for item in members]
    probability = torch.stack([item.step.probability for item in members]) if members else empty[..., 0].float()
    return DueFrame(
        stamp=stamp,
        size=size,
        prompts=tuple(item.memory.prompt for item in members),
        probability=torch.zeros_like(probability) if stamp.is_blank else probability,
        mask_embedding=torch.stack([item.step.mask_embedding for item in members]) if members else empty,
        aligned=torch.stack(aligned) if members else empty,
        status=status,
        memory_from=state.memory_from,
        pixel_aspect=state.timeline.pixel_aspect,
    )


def _redecode(model: Stages, window: WindowState) -> WindowStep:
    """Decode a window as it stands, for frames whose lookahead never came."""
    output = model.decode_window(window.aligned[None], window.text[None], window.carried)
    return WindowStep(window, output.probability[0], output.mask_embedding[0], output.initial_queries[0])
