"""The latest states of a stream, so that frames that come again find the state from before them."""

from collections import deque
from dataclasses import dataclass, field

from ssa_stream.streaming.decoding import DecoderState
from ssa_stream.streaming.saving import state_from_bytes, state_to_bytes

__all__ = ["KeptState", "StateHistory"]

_KIND = "decoder-history"


@dataclass(frozen=True, slots=True, eq=False)
class KeptState:
    """A state and the frame that it follows.

    Attributes:
        state: After the frame.
        index: Number of the frame; -1 before the first one.
        t: Its time in seconds; None before the first frame.
        memory: Number of the stream's memory; None before the first frame.
    """

    state: DecoderState = field(default_factory=DecoderState)
    index: int = -1
    t: float | None = None
    memory: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Saved:
    fingerprint: str
    states: tuple[KeptState, ...]


class StateHistory:
    """States after the last frames, oldest first; never empty.

    Args:
        depth: States that are kept: one more than frames may be unfinished.
        states: To go on with.
    """

    def __init__(self, depth: int, states: tuple[KeptState, ...] = ()) -> None:
        self._states = deque(states or (KeptState(),), maxlen=depth)

    @property
    def last(self) -> KeptState:
        """The present state."""
        return self._states[-1]

    def append(self, state: KeptState) -> None:
        """Let this be the present state."""
        self._states.append(state)

    def before(self, index: int, t: float) -> KeptState | None:
        """The state from before a frame that comes again.

        Args:
            index: Number of the frame.
            t: Its time in seconds.
        Returns:
            The present state for a frame that is later by number or time; for another one the newest state from before
            it, or None if that is not kept any more.
        """
        if index > self.last.index or self.last.t is None or t > self.last.t:
            return self.last
        return next((state for state in reversed(self._states) if state.index < index), None)

    def back_to(self, state: KeptState) -> None:
        """Forget the states after this one."""
        states = list(self._states)
        kept = states[: next((i + 1 for i, one in enumerate(states) if one is state), 0)]
        self._states = deque(kept or [state], maxlen=self._states.maxlen)

    def to_bytes(self, fingerprint: str) -> bytes:
        """Serialise without pickle.

        Args:
            fingerprint: Of the settings that the states fit.
        """
        return state_to_bytes(_Saved(fingerprint, tuple(self._states)), _KIND)

    @classmethod
    def from_bytes(cls, data: bytes, depth: int, fingerprint: str, device: str = "cpu") -> "StateHistory | None":
        """Read a history back; None if it was made with other settings.

        Raises:
            SessionStateError: Not a history, damaged, or of another format version.
        """
        saved = state_from_bytes(data, _Saved, _KIND, device)
        return cls(depth, saved.states) if saved.fingerprint == fingerprint else None
