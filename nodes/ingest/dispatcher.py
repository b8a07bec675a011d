"""Which message an ingest node sends next, and what is in it."""

from collections.abc import Set
from dataclasses import dataclass

import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from ssa_stream.nodes.ingest.in_flight import EndOfFrames, InFlightFrames, Position, UnfinishedFrame, identity
from ssa_stream.nodes.ingest.picture import Picture
from ssa_stream.protocols import DropNotice, DropReason, FrameWork, Prompt, StageTime, WorkPrompt

__all__ = ["Dispatcher", "Outgoing", "OutgoingEnd", "OutgoingFrame", "StreamRules"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRules:
    """Settings of a stream that its tracker follows.

    Attributes:
        stream: Its name.
        node: Name of the node that ingests it.
        clock: Name of that node's clock.
        window: Frames that the video decoder sees at once.
        lookahead: Frames that a frame waits for.
        capacity: Most unfinished frames, those that wait for later ones included.
        max_gap_s: A longer pause clears the stream's memory; see `longest_gap_s`.
        frame_interval_s: Time between frames where it is set.
    """

    stream: str
    node: str
    clock: str
    window: int
    lookahead: int
    capacity: int
    max_gap_s: float | None = None
    frame_interval_s: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class OutgoingFrame:
    """A frame to be sent.

    Attributes:
        position: Of the frame.
        work: What is to be made of it.
        picture: The frame.
        history: Pictures of earlier frames that the work needs, oldest first.
    """

    position: Position
    work: FrameWork
    picture: Picture
    history: tuple[NDArray[np.uint8], ...]


@dataclass(frozen=True, slots=True, eq=False)
class OutgoingEnd:
    """The notice, to be sent, that no frame comes for now."""

    position: Position
    notice: DropNotice


Outgoing = OutgoingFrame | OutgoingEnd


class Dispatcher:
    """Makes messages of the frames in flight, in order, those that have not left yet.

    Args:
        rules: Settings.
        in_flight: What is not finished.
    """

    def __init__(self, rules: StreamRules, in_flight: InFlightFrames[UnfinishedFrame | EndOfFrames]) -> None:
        self._rules = rules
        self._in_flight = in_flight
        self._last: Position | None = None
        self._carried: set[Prompt] = set()  # by frames sent in the epoch of the last one

    def take_next(self, now_ns: int) -> Outgoing | None:
        """The next message to be sent, marked as leaving; None if there is none.

        A prompt asks for queries of all recent frames on the first frame of an epoch that carries it, for 1 after.

        Args:
            now_ns: Time on the clock of the rules.
        """
        entry = self._in_flight.next_unsent()
        if entry is None:
            return None
        self._in_flight.mark_sent(entry.position)
        match entry.content:
            case EndOfFrames() as end:
                return OutgoingEnd(entry.position, self._notice(entry.position, end))
            case UnfinishedFrame() as frame:
                work = self._work(entry.position, frame, now_ns)
                history = frame.history[len(frame.history) - work.num_history :]
                return OutgoingFrame(entry.position, work, frame.picture, history)

    def was_sent(self, outgoing: Outgoing) -> None:
        """A node took the message."""
        if not self._is_in_epoch(outgoing.position):
            self._carried.clear()
        self._last = outgoing.position
        if isinstance(outgoing, OutgoingFrame):
            self._carried.update(item.prompt for item in outgoing.work.prompts)

    def _is_in_epoch(self, position: Position) -> bool:
        """Whether something left in the same epoch."""
        return self._last is not None and self._last.epoch == position.epoch

    def _missed_before(self, position: Position) -> int:
        """Numbers between what left last and this."""
        if self._last is None or self._last.epoch != position.epoch:
            return position.seq
        return position.seq - self._last.seq - 1

    def _notice(self, position: Position, end: EndOfFrames) -> DropNotice:
        return DropNotice(
            frame=identity(self._rules.stream, position, end.index, end.frame, self._rules.clock, live=end.live),
            node=self._rules.node,
            reason=DropReason.ENDED,
            frames_missed=self._missed_before(position),
        )

    def _work(self, position: Position, frame: UnfinishedFrame, now_ns: int) -> FrameWork:
        carried: Set[Prompt] = self._carried if self._is_in_epoch(position) else frozenset()
        source, rules = frame.picture.frame, self._rules
        stage = StageTime(
            role="ingest",
            node=rules.node,
            clock=rules.clock,
            received_ns=source.t_receive_ns,
            begin_ns=frame.picture.begin_ns,
            end_ns=now_ns,
        )
        return FrameWork(
            frame=identity(rules.stream, position, frame.index, source, rules.clock, live=frame.live),
            sizes=frame.picture.sizes,
            prompts=tuple(
                WorkPrompt(prompt=prompt, frames=1 if prompt in carried else len(frame.history) + 1)
                for prompt in frame.prompts
            ),
            prompts_version=frame.prompts_version,
            applies_from=frame.applies_from,
            memory=frame.memory,
            frames_missed=self._missed_before(position),
            times=(stage,),
            is_blank=frame.picture.is_blank or UNSET,
        )
