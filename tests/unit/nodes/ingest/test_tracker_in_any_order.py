"""Whatever comes in whatever order, the nodes behind ingest can rely on what they are sent."""

from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from ssa_stream.nodes.ingest.dispatcher import Outgoing, OutgoingEnd, OutgoingFrame
from ssa_stream.nodes.ingest.in_flight import Position
from ssa_stream.nodes.ingest.tracker import InFlightTracker
from tests.support.ingest import RULES, picture, start_stream

WINDOW, LOOKAHEAD, CAPACITY = 3, 1, 4
STEP_S = 0.1


class _Stream(RuleBasedStateMachine):
    """Source, masks node, control and user act on a tracker in any order; the encoder checks what it gets."""

    every_frame = True

    def __init__(self) -> None:
        super().__init__()
        rules = replace(RULES, window=WINDOW, lookahead=LOOKAHEAD, capacity=CAPACITY)
        self.tracker = InFlightTracker(rules, start_stream("a"))
        self.tracker.every_frame = self.every_frame
        self.seq = self.texts = 0
        self.t = 0.0
        self.size = 2
        self.ended = False
        self.sent: list[Outgoing] = []
        self.in_hand: Outgoing | None = None
        self.run_of: dict[int, int] = {}  # index of a frame to that of the first one that it may be replayed from
        self.run = 0
        self.lost: set[int] = set()
        self.done: set[int] = set()

    # -- who acts

    @precondition(lambda self: self.tracker.has_room and not self.ended)
    @rule(overtaken=st.integers(0, 2), pause=st.booleans(), resized=st.booleans())
    def frame_comes(self, overtaken: int, pause: bool, resized: bool) -> None:
        """A frame of the source, after some that were overtaken, a pause, or with another size."""
        self.seq += 1 + overtaken
        self.t += 3.0 if pause else STEP_S
        self.size += 2 * resized
        index = self.tracker.next_index
        came = picture(self.seq, t=self.t, size=(self.size, self.size))
        is_break = resized and not self.tracker.is_fresh
        assert self.tracker.meet(came) == is_break
        if pause or resized:
            self.run = index
        self.tracker.admit(came)
        self.run_of[index] = self.run

    @precondition(lambda self: self.in_hand is None)
    @rule()
    def message_is_taken(self) -> None:
        """The node begins to send."""
        self.in_hand = self.tracker.take_next(0)

    @precondition(lambda self: self.in_hand is not None)
    @rule(arrives=st.booleans())
    def message_arrives_or_not(self, arrives: bool) -> None:
        """It ends to send, which may take until after other things."""
        assert self.in_hand is not None
        outgoing, self.in_hand = self.in_hand, None
        if arrives:
            self.tracker.was_sent(outgoing)
            self.sent.append(outgoing)
            self.expect_reliable(outgoing)
        elif self.tracker.was_not_sent(outgoing):
            assert isinstance(outgoing, OutgoingFrame)
            self.lost.add(outgoing.work.frame.index)

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def masks_finish(self, data: st.DataObject) -> None:
        """Up to anything that was ever sent, late and repeated ones included."""
        upto = data.draw(st.sampled_from(self.sent)).position
        before = self.unfinished_indices()
        self.tracker.finish(upto)
        gone = before - self.unfinished_indices()
        self.done |= gone
        sent = {m.work.frame.index for m in self.sent if isinstance(m, OutgoingFrame) and m.position <= upto}
        in_hand = {self.in_hand.work.frame.index} if isinstance(self.in_hand, OutgoingFrame) else set()
        assert gone <= sent | in_hand

    @rule(epochs=st.integers(0, 2), seq=st.integers(0, 50))
    def nonsense_is_finished(self, epochs: int, seq: int) -> None:
        """A position that was never given."""
        before = self.tracker.unfinished
        ahead = Position(self.tracker.epoch + epochs, self.tracker.next_seq + seq)
        assert self.tracker.finish(ahead) == 0
        assert self.tracker.unfinished == before

    @rule()
    def node_was_restarted(self) -> None:
        """Control says so."""
        before = self.unfinished_indices()
        epoch = self.tracker.epoch
        lost = self.tracker.recover()
        gone = before - self.unfinished_indices()
        assert (self.tracker.epoch, len(gone)) == (epoch + 1, lost)
        assert not (self.every_frame and lost)
        self.lost |= gone

    @rule()
    def prompt_is_added(self) -> None:
        """A user adds one, or begins again with one."""
        self.texts += 1
        keep = self.tracker.book.prompts[-2:]
        texts = {**{prompt.prompt_id: prompt.text for prompt in keep}, f"x{self.texts}": f"text {self.texts}"}
        self.tracker.set_book(self.tracker.book.set(texts, max_prompts=8))
        first = self.tracker.applies_from.index
        assert first is not None
        assert self.tracker.next_index - LOOKAHEAD <= first <= self.tracker.next_index

    @precondition(lambda self: not self.ended)
    @rule()
    def source_ends(self) -> None:
        """And may come back."""
        self.tracker.end()
        self.ended = True

    @precondition(lambda self: self.ended)
    @rule()
    def source_comes_back(self) -> None:
        """It is connected anew."""
        if not self.tracker.is_fresh:
            self.tracker.begin_anew(opened_again=True)
            self.run = self.tracker.next_index
        self.ended = False

    # -- what others rely on

    def expect_reliable(self, outgoing: Outgoing) -> None:
        """What one message must be, after those before it."""
        position = outgoing.position
        earlier = [m for m in self.sent[:-1] if m.position.epoch == position.epoch]
        missed = outgoing.work.frames_missed if isinstance(outgoing, OutgoingFrame) else outgoing.notice.frames_missed
        predecessor = earlier[-1].position.seq if earlier else -1
        assert position.seq - 1 - missed == predecessor
        if isinstance(outgoing, OutgoingEnd):
            return
        frame, work = outgoing.work.frame, outgoing.work
        carried = {item.prompt for m in earlier if isinstance(m, OutgoingFrame) for item in m.work.prompts}
        recent = min(WINDOW, frame.index - self.run_of[frame.index] + 1)
        for item in work.prompts:
            assert item.frames == (1 if item.prompt in carried else recent)
        assert len(outgoing.history) == work.num_history
        assert work.applies_from.index is not None
        before = [m for m in earlier if isinstance(m, OutgoingFrame)]
        if before:
            skipped = set(range(before[-1].work.frame.index + 1, frame.index))
            assert skipped <= self.lost  # else no index is left out, and none comes twice within an epoch
            assert frame.index > before[-1].work.frame.index
            assert work.prompts_version >= before[-1].work.prompts_version
            assert work.memory >= before[-1].work.memory

    @invariant()
    def window_is_bounded(self) -> None:
        """Frames are admitted only where there is room; besides them there may be a notice for each end."""
        assert len(self.unfinished_indices()) <= CAPACITY

    @invariant()
    def nothing_is_forgotten(self) -> None:
        """Every frame is finished, lost and counted, or will still be sent."""
        every = set(range(self.tracker.next_index))
        assert every == self.done | self.lost | self.unfinished_indices()
        assert not (self.every_frame and self.lost)

    def unfinished_indices(self) -> set[int]:
        """Frames that are not finished."""
        return {entry.content.index for entry in self.tracker._in_flight if hasattr(entry.content, "picture")}

    def teardown(self) -> None:
        """In the end everything can be sent and finished."""
        if self.in_hand is not None:
            self.message_arrives_or_not(arrives=True)
        while (outgoing := self.tracker.take_next(0)) is not None:
            self.in_hand = outgoing
            self.message_arrives_or_not(arrives=True)
        self.done |= self.unfinished_indices()
        if self.sent:
            self.tracker.finish(max(message.position for message in self.sent))
        assert self.tracker.unfinished == 0
        self.nothing_is_forgotten()


class _LiveStream(_Stream):
    """The same where the newest frame counts."""

    every_frame = False


@pytest.mark.parametrize("machine", [_Stream, _LiveStream], ids=["every_frame", "freshest"])
def test_tracker_keeps_its_promises_in_any_order(machine: type[_Stream]) -> None:
    """Numbers without unexplained holes, replays where needed, nothing forgotten, room bounded."""
    run_state_machine_as_test(machine, settings=settings(max_examples=60, stateful_step_count=40, deadline=None))
