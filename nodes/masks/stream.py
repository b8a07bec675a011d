"""One stream at the masks node: due frames wait for their mask features, and objects are tracked."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from ssa_stream.errors import SessionStateError
from ssa_stream.model import Stages
from ssa_stream.nodes.masks.outputs import OutputFrame
from ssa_stream.protocols import DropNotice, FrameIdentity, VideoQueriesMessage
from ssa_stream.streaming import MaskResult, Prompt, SessionConfig
from ssa_stream.streaming.decoding import DueFrame
from ssa_stream.streaming.masking import MaskKey, MaskState, keep_mask_features, lacking, mask_frame
from ssa_stream.streaming.saving import state_from_bytes, state_to_bytes
from ssa_stream.streaming.timeline import FrameStamp

__all__ = ["MaskStream", "Waiting", "due_frame"]

_KIND = "mask-stream"


@dataclass(frozen=True, slots=True, eq=False)
class Waiting:
    """What is next to leave the graph.

    Attributes:
        message: A due frame, or a notice that none comes.
        due: Of a due frame.
        since_ns: When it came, on the clock of waits.
        received_ns: When it came, on the clock of messages.
    """

    message: VideoQueriesMessage | DropNotice
    due: DueFrame | None
    since_ns: int
    received_ns: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class _Out:
    """The state after a frame that is out; no number before the first one."""

    state: MaskState = field(default_factory=MaskState)
    index: int = -1
    t: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Saved:
    fingerprint: str
    out: tuple[_Out, ...]


@dataclass(slots=True, eq=False)
class MaskStream:
    """What the masks node knows of one stream.

    Attributes:
        name: Of the stream.
        model: The network.
        config: Selection and tracking.
        depth: States that are saved: one more than frames may be unfinished.
        has_outputs: Whether there are outputs that can be written.
        sends_pictures: Whether subscribers get pictures.
        state: Tracks, and mask features of frames that are not out.
    """

    name: str
    model: Stages
    config: SessionConfig
    depth: int = 8
    has_outputs: bool = False
    sends_pictures: bool = False
    state: MaskState = field(default_factory=MaskState)
    _out: tuple[_Out, ...] = (_Out(),)
    _is_restored: bool = False
    _epoch: int = -1
    _is_joined: bool = True
    _queue: deque[Waiting] = field(default_factory=deque)
    _pictures: dict[int, OutputFrame] = field(default_factory=dict)

    def add(self, item: Waiting) -> bool:
        """Take what is to leave after all that came before.

        Where every frame counts, an epoch is joined at its beginning or not at all. If its first frames went to an
        earlier incarnation of this node, a later one would say that those are finished, too; all of them come again in
        the epoch that begins because of the restart.

        Returns:
            Whether it was taken.
        """
        frame = item.message.frame
        if frame.epoch != self._epoch:
            self._epoch, self._is_joined = frame.epoch, frame.live or frame.seq == 0
        if self._is_joined:
            self._queue.append(item)
        return self._is_joined

    def add_features(self, features: Mapping[MaskKey, Tensor]) -> None:
        """Take mask features, which stay as they are."""
        self.state = keep_mask_features(self.state, features)

    def add_picture(self, index: int, picture: OutputFrame) -> None:
        """Take the picture of a frame."""
        self._pictures[index] = picture

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def needs_pictures(self) -> bool:
        """Whether a frame also waits for its picture."""
        return self.has_outputs or self.sends_pictures

    @property
    def first(self) -> FrameIdentity | None:
        """The frame that leaves next; None if none is due."""
        return self._queue[0].message.frame if self._queue else None

    def leave_lost(self) -> list[FrameIdentity]:
        """Forget due frames whose mask features were lost with a node.

        They come again in a newer epoch, or are lost: when something of that waits behind them they do not wait. Where
        every frame counts, what waits between them and that comes again as well, and must not leave before them.
        """
        lost: list[FrameIdentity] = []
        while self._queue and self._queue[0].message.frame.epoch < self._queue[-1].message.frame.epoch:
            due, frame = self._queue[0].due, self._queue[0].message.frame
            comes_again = bool(lost) and not frame.live
            if not comes_again and (due is None or self.is_repeated(due) or not lacking(self.state, due)):
                break
            self._queue.popleft()
            if due is not None:
                lost.append(frame)
        return lost

    def next(self, now_ns: int, wait_ns: int) -> Waiting | None:
        """What may leave now: it has all that it needs, or has waited for that long enough."""
        if not self._queue:
            return None
        first = self._queue[0]
        if first.due is None or self.is_repeated(first.due) or now_ns - first.since_ns >= wait_ns:
            return self._queue.popleft()
        if lacking(self.state, first.due) or (self.needs_pictures and first.due.stamp.index not in self._pictures):
            return None
        return self._queue.popleft()

    def deadline_ns(self, wait_ns: int) -> int | None:
        """When the wait for what is missing ends."""
        return self._queue[0].since_ns + wait_ns if self._queue else None

    def is_repeated(self, due: DueFrame) -> bool:
        """Whether the frame is out already, and came again because another node was restarted."""
        return not self._is_restored and self._was_out(due)

    def make_masks(self, due: DueFrame) -> list[MaskResult]:
        """Masks of a due frame; a final one is out then.

        After a restart of this node nobody knows which of its messages got through. So what comes again is made again,
        with the tracks from before it.
        """
        if self._is_restored and self._was_out(due):
            self._go_back(due)
        with torch.inference_mode():
            state, results = mask_frame(self.model, self.config, self.state, due)
        if due.status == "final":
            self._let_out(state, due)
        return results

    def give_up(self, due: DueFrame) -> None:
        """The work on a due frame failed: it is out, without masks."""
        if due.status == "final":
            kept = tuple(item for item in self.state.features if item.key.frame_index > due.stamp.index)
            self._let_out(replace(self.state, features=kept), due)

    def picture(self, index: int) -> OutputFrame | None:
        """The picture of a frame."""
        return self._pictures.get(index)

    def forget_pictures(self, index: int) -> None:
        """Frames up to this one need no picture any more."""
        self._pictures = {number: one for number, one in self._pictures.items() if number > index}

    def to_bytes(self, fingerprint: str) -> bytes:
        """Tracks after the last frames that are out; mask features come again with their frames."""
        return state_to_bytes(_Saved(fingerprint, self._out), _KIND)

    def restore(self, data: bytes, fingerprint: str) -> None:
        """Go on from what `to_bytes` gave.

        Raises:
            SessionStateError: It is damaged, or of other settings.
        """
        saved = state_from_bytes(data, _Saved, _KIND)
        if not saved.out:
            raise SessionStateError("saved tracks hold no state; expected one at least: tracks begin anew")
        if saved.fingerprint != fingerprint:
            raise SessionStateError(
                f"saved tracks are of other settings (fingerprint {saved.fingerprint}, here {fingerprint}); expected "
                f"the same model and settings: tracks begin anew"
            )
        self._out, self._is_restored = saved.out, True
        self.state = saved.out[-1].state

    def _was_out(self, due: DueFrame) -> bool:
        last = self._out[-1]
        return due.stamp.index <= last.index and last.t is not None and due.stamp.t <= last.t

    def _go_back(self, due: DueFrame) -> None:
        """To before a frame; if that is no more known the tracks stay as they are."""
        before = [item for item in self._out if item.index < due.stamp.index]
        if before:
            self._out = tuple(before)
            self.state = replace(before[-1].state, features=self.state.features)

    def _let_out(self, state: MaskState, due: DueFrame) -> None:
        self.state, self._is_restored = state, False
        after = _Out(replace(state, features=()), due.stamp.index, due.stamp.t)
        self._out = (*self._out, after)[-self.depth :]


def due_frame(message: VideoQueriesMessage, probability: Tensor, mask_embedding: Tensor, aligned: Tensor) -> DueFrame:
    """A due frame as the decoder had it."""
    frame: FrameIdentity = message.frame
    return DueFrame(
        stamp=FrameStamp(frame.index, frame.t, message.frames_missed, message.after_reset),
        size=message.sizes.source,
        prompts=tuple(Prompt(one.id, one.text, one.version) for one in message.prompts),
        probability=probability,
        mask_embedding=mask_embedding,
        aligned=aligned,
        status=message.status,
        memory_from=message.memory_from,
        pixel_aspect=message.sizes.source_pixel_aspect,
    )
