"""All that a session knows, as one immutable value; and its bytes."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ssa_stream.model import TextFeatures
from ssa_stream.streaming.decoding import DecoderState
from ssa_stream.streaming.masking import MaskState
from ssa_stream.streaming.prompts import PromptBook
from ssa_stream.streaming.saving import state_from_bytes, state_to_bytes

__all__ = ["RecentFrame", "SessionState"]


@dataclass(frozen=True, slots=True, eq=False)
class RecentFrame:
    """A frame kept for the replay of new prompts: its network input, or the prompt-free features made from it.

    Attributes:
        image: `(1, 3, Hp, Wp)`; None once `stem` is there.
        stem: `(1, C0, Hp/4, Wp/4)`; None until a prompt needed it.
    """

    image: Tensor | None
    stem: Tensor | None


@dataclass(frozen=True, slots=True, eq=False)
class SessionState:
    """State of one stream. Nothing in it is ever changed in place, so keeping it is a snapshot.

    Attributes:
        fingerprint: Of the model's sizes and the session's settings; a state only fits these.
        book: The prompts.
        texts: CLIP features of each prompt's sentence, one row each.
        recent: The last frames, oldest first, at most a window.
        decoder: Times, windows, and frames whose final results wait for lookahead.
        masks: Tracks, and mask features of the frames that wait.
    """

    fingerprint: str
    book: PromptBook = field(default_factory=PromptBook)
    texts: tuple[TextFeatures, ...] = ()
    recent: tuple[RecentFrame, ...] = ()
    decoder: DecoderState = field(default_factory=DecoderState)
    masks: MaskState = field(default_factory=MaskState)

    def to_bytes(self) -> bytes:
        """Serialise without pickle: a safetensors file with the rest as JSON in its header."""
        return state_to_bytes(self, "session")

    @classmethod
    def from_bytes(cls, data: bytes, device: torch.device | str = "cpu") -> "SessionState":
        """Read a state back.

        Args:
            data: Output of `to_bytes`.
            device: Where its tensors go.
        Raises:
            SessionStateError: Not a session state, damaged, or of another format version.
        """
        return state_from_bytes(data, cls, "session", device)
