"""In-flight tracker: numbers, prompts, recent pictures and unfinished frames of an ingest node's stream.

Nothing here waits, sends or looks at a clock: the node asks what may be done and tells what happened.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ssa_stream.errors import SourceError
from ssa_stream.nodes.ingest.dispatcher import Dispatcher, Outgoing, OutgoingEnd, StreamRules
from ssa_stream.nodes.ingest.in_flight import EndOfFrames, Entry, InFlightFrames, Position, UnfinishedFrame
from ssa_stream.nodes.ingest.picture import Picture
from ssa_stream.protocols import AppliesFrom, Prompt, StartStream
from ssa_stream.streaming import Prompt as SessionPrompt
from ssa_stream.streaming.prompts import PromptBook
from ssa_stream.streaming.timeline import longest_gap_s, with_interval

__all__ = ["InFlightTracker"]


class InFlightTracker:
    """The books of one stream.

    Args:
        rules: Settings.
        start: Where the stream begins or goes on.

    Attributes:
        every_frame: Whether no frame may be lost; else the newest counts. Known when the source is open.
        epoch: Present epoch.
        memory: Number of the present memory.
        next_seq: Number of the next frame within the epoch, if none is overtaken before it.
        next_index: Index of the next frame.
        book: The prompts.
        applies_from: First frame that they apply to.
        source_count: Frames of the source, from its beginning, up to the last one; those overtaken count as well.
        frames_done: As many of them are finished.
    """

    def __init__(self, rules: StreamRules, start: StartStream) -> None:
        self.rules = rules
        self.every_frame = True
        self.epoch = start.epoch
        self.memory = start.memory
        self.next_seq = 0
        self.next_index = start.next_index
        self.book = PromptBook(
            tuple(SessionPrompt(prompt.id, prompt.text, prompt.version) for prompt in start.prompts),
            start.version,
            start.next_prompt_number,
        )
        self.frames_done = start.frames_done
        self._in_flight: InFlightFrames[UnfinishedFrame | EndOfFrames] = InFlightFrames(rules.capacity)
        self._dispatcher = Dispatcher(rules, self._in_flight)
        self._history: tuple[NDArray[np.uint8], ...] = ()
        self._last: Picture | None = None  # of the source, since it began anew
        self._intervals_s: tuple[float, ...] = ()
        self._begin_index = start.next_index  # of the first frame that may still wait for later ones
        self._opening = 0
        self.source_count = start.frames_done
        self.applies_from = self.oldest_open()

    @property
    def has_room(self) -> bool:
        """Whether another frame may be admitted."""
        return self._in_flight.has_room

    @property
    def has_unsent(self) -> bool:
        """Whether there is something to be sent."""
        return self._in_flight.next_unsent() is not None

    @property
    def unfinished(self) -> int:
        """Entries that are not finished."""
        return len(self._in_flight)

    @property
    def is_fresh(self) -> bool:
        """Whether no frame came since the stream began, or began anew."""
        return self._last is None

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """The prompts, as messages have them."""
        return tuple(Prompt(id=item.prompt_id, text=item.text, version=item.version) for item in self.book.prompts)

    @property
    def resume_index(self) -> int:
        """Index of the frame that the node would begin with if it were restarted now."""
        frames = (entry.content.index for entry in self._in_flight)
        return next(frames, self.next_index) if self.every_frame else self.next_index

    # -- the source

    def skip(self, pictures: Sequence[Picture]) -> None:
        """Take the last frames of those that earlier incarnations of the node finished: they are history only."""
        for picture in pictures:
            if self.is_break(picture) or self._is_after_gap(picture):
                self._history = ()
            self._remember(picture)

    def is_break(self, picture: Picture) -> bool:
        """Whether the source says with this frame that what was seen before says nothing about it."""
        return self._last is not None and not picture.frame.continues(self._last.frame)

    def meet(self, picture: Picture) -> bool:
        """Look at the next frame before anything else is done for it.

        At a break of the source a new epoch begins, with a new memory; where the source was lost and goes on in time,
        a new epoch alone. A pause that clears the memory is neither: it only ends the history, as it does in a session.

        Returns:
            Whether a new epoch has begun.
        Raises:
            SourceError: Its time is not a finite number.
        """
        frame = picture.frame
        if not math.isfinite(frame.t):
            raise SourceError(f"the source gave a frame with time {frame.t}; expected finite seconds")
        if self.is_break(picture):
            self.begin_anew()
            return True
        if self._is_after_gap(picture):
            self._history = ()
            self._begin_index = self.next_index
        if self._last is None or frame.epoch == self._last.frame.epoch:
            return False
        self.epoch += 1
        self.next_seq = 0
        return True

    def begin_anew(self, *, opened_again: bool = False, from_first_frame: bool = False) -> None:
        """Begin a new epoch with a new memory.

        Args:
            opened_again: The source was closed and opened: its own numbers begin anew.
            from_first_frame: It is a recording, or another source, which is counted from its beginning.
        """
        self.memory += 1
        self.epoch += 1
        self.next_seq = 0
        self._begin_index = self.next_index
        self._history = ()
        if opened_again:
            self._last = None
        if from_first_frame:
            self._opening += 1
            self.source_count = self.frames_done = 0

    def admit(self, picture: Picture) -> int:
        """Take in the frame that was met: number it, and keep it until it is finished.

        Returns:
            How many frames of the source before it were overtaken.
        """
        overtaken = self._overtaken_before(picture)
        # Counting begins with the first frame that is sent; those overtaken before it are no holes.
        seq = self.next_seq + overtaken if self.next_seq else 0
        self.source_count += overtaken + 1
        frame = UnfinishedFrame(
            index=self.next_index,
            memory=self.memory,
            picture=picture,
            history=self._history,
            prompts=self.prompts,
            prompts_version=self.book.version,
            applies_from=self.applies_from,
            opening=self._opening,
            source_count=self.source_count,
            live=not self.every_frame,
        )
        self._in_flight.add(Position(self.epoch, seq), frame)
        self._remember(picture)
        self.next_seq = seq + 1
        self.next_index += 1
        return overtaken

    def end(self) -> None:
        """No frame comes for now. With lookahead, those that wait for later ones must be told."""
        if self._last is None or self._begin_index == self.next_index:
            return
        if self.rules.lookahead:
            end = EndOfFrames(self.next_index, self._last.frame, live=not self.every_frame)
            self._in_flight.add(Position(self.epoch, self.next_seq), end)
            self.next_seq += 1
        self._begin_index = self.next_index

    # -- the way to the encoders and back

    def take_next(self, now_ns: int) -> Outgoing | None:
        """The next message to be sent; see `Dispatcher`."""
        return self._dispatcher.take_next(now_ns)

    def was_sent(self, outgoing: Outgoing) -> None:
        """A node took the message."""
        self._dispatcher.was_sent(outgoing)

    def was_not_sent(self, outgoing: Outgoing) -> bool:
        """Nobody took the message. Where no frame may be lost it has to be sent again.

        Returns:
            Whether the frame is lost.
        """
        if self.every_frame or isinstance(outgoing, OutgoingEnd):
            self._in_flight.mark_unsent(outgoing.position)
            return False
        return self.give_up(outgoing)

    def give_up(self, outgoing: Outgoing) -> bool:
        """The message cannot be sent at all; returns whether its frame was still to be."""
        return self._in_flight.withdraw(outgoing.position)

    def finish(self, position: Position) -> int:
        """All that was sent up to a position is done with; returns how many frames were not yet.

        A position that was never given is ignored: it says nothing about this stream.
        """
        if position.epoch > self.epoch or (position.epoch == self.epoch and position.seq >= self.next_seq):
            return 0
        return self._count_done(self._in_flight.finish(position))

    def recover(self) -> int:
        """Begin a new epoch with the same memory, because a node was restarted.

        What is not finished is sent again where no frame may be lost, else it is lost.

        Returns:
            How many frames are lost.
        """
        lost = 0
        if not self.every_frame:
            lost = self._count_done(self._in_flight.remove(_is_on_its_way))
        self.epoch += 1
        self.next_seq = self._in_flight.renumber(self.epoch)
        return lost

    # -- prompts

    def set_book(self, book: PromptBook) -> None:
        """Let these be the prompts, from the oldest frame on whose final results are not made."""
        self.book = book
        self.applies_from = self.oldest_open()

    def oldest_open(self) -> AppliesFrom:
        """The oldest frame that gets its final results together with, or after, the next one that is sent.

        Without lookahead that is the next one. With it, the frames that wait for the next one are before it.
        """
        waiting = max(self._begin_index, self.next_index - self.rules.lookahead)
        for entry in self._in_flight:
            if isinstance(entry.content, UnfinishedFrame) and entry.content.index >= waiting:
                return AppliesFrom(epoch=entry.position.epoch, seq=entry.position.seq, index=entry.content.index)
        return AppliesFrom(epoch=self.epoch, seq=self.next_seq, index=self.next_index)

    # -- inside

    def _overtaken_before(self, picture: Picture) -> int:
        last, seq = self._last, picture.frame.seq
        if last is not None and last.frame.epoch == picture.frame.epoch:
            return max(0, seq - last.frame.seq - 1)
        return max(0, seq)

    def _is_after_gap(self, picture: Picture) -> bool:
        """Whether a session would clear its memory before this frame; see `Timeline.accept`."""
        if self._last is None:
            return False
        rules = self.rules
        return picture.frame.t - self._last.frame.t > longest_gap_s(
            rules.max_gap_s, self._intervals_s, rules.frame_interval_s
        )

    def _remember(self, picture: Picture) -> None:
        if self._last is None or self.is_break(picture):
            self._intervals_s = ()
        else:
            elapsed_s, is_too_long = picture.frame.t - self._last.frame.t, self._is_after_gap(picture)
            self._intervals_s = with_interval(self._intervals_s, elapsed_s, is_too_long=is_too_long)
        self._last = picture
        kept = self.rules.window - 1
        self._history = (*self._history, picture.image)[-kept:] if kept else ()

    def _count_done(self, entries: Sequence[Entry[UnfinishedFrame | EndOfFrames]]) -> int:
        frames = [entry.content for entry in entries if isinstance(entry.content, UnfinishedFrame)]
        for frame in frames:
            if frame.opening == self._opening:
                self.frames_done = max(self.frames_done, frame.source_count)
        return len(frames)


def _is_on_its_way(entry: Entry[UnfinishedFrame | EndOfFrames]) -> bool:
    return entry.sent_as is not None and isinstance(entry.content, UnfinishedFrame)
