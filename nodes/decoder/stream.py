"""One stream at the decoder: rows become frames, frames come into order, and each is decoded."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch

from ssa_stream.model import Stages
from ssa_stream.nodes.decoder.decoding import Due, ResumableDecoder, session_prompts
from ssa_stream.nodes.decoder.ordering import Arrival, StreamOrder
from ssa_stream.protocols import DropNotice, DropReason, FrameIdentity, FrameWork
from ssa_stream.streaming import SessionConfig
from ssa_stream.streaming.decoding import PromptRows, decode_frames

__all__ = ["NextFrame", "OrderedStream", "RowAssembler", "RowPart", "decode_together"]

T = TypeVar("T")


class RowAssembler(Generic[T]):
    """Parts of the frames of one stream that are not whole yet."""

    def __init__(self) -> None:
        self._parts: dict[tuple[int, int], dict[int, tuple[int, T]]] = {}

    def add(self, work: FrameWork, first_row: int, count: int, part: T) -> Sequence[T] | None:
        """Take a part of a frame.

        Args:
            work: The frame's.
            first_row: Of the part.
            count: Rows of the part; 0 only for a frame without rows.
            part: What came of them. One that comes again replaces the former.
        Returns:
            All parts of the frame in order of their rows, once they are there; None before.
        """
        key = (work.frame.epoch, work.frame.seq)
        parts = self._parts.setdefault(key, {})
        parts[first_row] = (count, part)
        if sum(rows for rows, _ in parts.values()) < work.num_rows:
            return None
        del self._parts[key]
        return [parts[row][1] for row in sorted(parts)]

    def forget(self, frame: FrameIdentity) -> None:
        """Frames up to this one, by epoch and number, will not become whole any more."""
        self._parts = {key: parts for key, parts in self._parts.items() if key > (frame.epoch, frame.seq)}

    def __len__(self) -> int:
        return len(self._parts)


@dataclass(frozen=True, slots=True, eq=False)
class RowPart:
    """Queries of some rows of a frame, `(R, N, C)` and `(R, C)`, and when they came."""

    work: FrameWork
    queries: torch.Tensor
    text: torch.Tensor
    received_ns: int


@dataclass(frozen=True, slots=True, eq=False)
class NextFrame:
    """A whole frame: its work as the last part has it, and its parts in order of rows; or a notice in its place."""

    work: FrameWork | DropNotice
    parts: tuple[RowPart, ...] = ()
    after_gap: bool = False

    def rows(self) -> PromptRows | None:
        """Its queries; None without prompts."""
        if isinstance(self.work, DropNotice) or not self.work.prompts:
            return None
        return PromptRows(
            session_prompts(self.work),
            tuple(item.frames for item in self.work.prompts),
            torch.cat([part.queries for part in self.parts]),
            torch.cat([part.text for part in self.parts]),
        )


class OrderedStream:
    """What the decoder knows of one stream.

    Args:
        decoder: Decodes its frames.
        wait_ns: How long a frame waits for the one before it.
    """

    def __init__(self, decoder: ResumableDecoder, wait_ns: int) -> None:
        self.decoder = decoder
        self._assembler: RowAssembler[RowPart] = RowAssembler()
        self._order: StreamOrder[NextFrame] = StreamOrder(wait_ns)

    @property
    def deadline_ns(self) -> int | None:
        """When the wait for a missing frame ends; None if none is waited for."""
        return self._order.deadline_ns

    @property
    def waiting(self) -> int:
        """Frames that wait for the one before them."""
        return len(self._order)

    def add(self, first_row: int, part: RowPart, now_ns: int) -> DropReason | None:
        """Take rows of a frame; returns why if the frame is of no use any more."""
        parts = self._assembler.add(part.work, first_row, len(part.queries), part)
        if parts is None:
            return None
        work = max(parts, key=lambda one: one.received_ns).work
        return self._order.offer(
            Arrival(work.frame, work.frames_missed, work.memory, NextFrame(work, tuple(parts))), now_ns
        )

    def add_notice(self, notice: DropNotice, now_ns: int) -> DropReason | None:
        """Take the notice that a frame does not come; returns why if that is of no use any more."""
        return self._order.offer(Arrival(notice.frame, notice.frames_missed, None, NextFrame(notice)), now_ns)

    def take(self, now_ns: int) -> tuple[list[NextFrame], list[FrameIdentity]]:
        """Frames that are next in order, and those that an ended epoch has left behind."""
        released, left = self._order.take(now_ns)
        frames = [NextFrame(item.content.work, item.content.parts, item.after_gap) for item in released]
        if frames:
            self._assembler.forget(frames[-1].work.frame)
        return frames, [item.work.frame for item in left if isinstance(item.work, FrameWork)]

    def rows_of(self, frame: NextFrame) -> int | None:
        """How many windows a frame moves on if it can go with frames of other streams; None for one that goes alone.

        What is replayed goes alone, and so does what has no windows.
        """
        if isinstance(frame.work, DropNotice) or not frame.work.prompts:
            return None
        is_replayed = any(item.frames != 1 for item in frame.work.prompts)
        return None if is_replayed else len(frame.work.prompts)

    def decode(self, frame: NextFrame) -> list[Due | DropNotice]:
        """Decode a frame, or pass a notice on; see `ResumableDecoder`."""
        with torch.inference_mode():
            if isinstance(frame.work, DropNotice):
                return self.decoder.take_notice(frame.work)
            return self.decoder.take_frame(frame.work, frame.rows())


def decode_together(
    model: Stages, config: SessionConfig, batch: Sequence[tuple[OrderedStream, NextFrame]]
) -> list[list[Due | DropNotice]]:
    """Decode one frame of each of several streams as one batch; if that raises nothing has changed.

    Args:
        model: The network.
        config: Of all streams.
        batch: Each with its frame, see `OrderedStream.rows_of`.
    """
    frames = [(stream.decoder, frame.work, frame) for stream, frame in batch if isinstance(frame.work, FrameWork)]
    with torch.inference_mode():
        steps = [decoder.next_step(work, frame.rows()) for decoder, work, frame in frames]
        outcomes = decode_frames(model, config, steps)
    return [decoder.went_on(work, outcome) for (decoder, work, _), outcome in zip(frames, outcomes, strict=True)]
