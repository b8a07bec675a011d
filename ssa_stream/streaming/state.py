"""All that a session knows, as one immutable value; and its bytes."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from ssa_stream.errors import SessionStateError
from ssa_stream.model import TextFeatures
from ssa_stream.streaming.prompts import Prompt
from ssa_stream.streaming.timeline import FrameStamp, Timeline
from ssa_stream.streaming.tracks import TrackState
from ssa_stream.streaming.window import WindowState

__all__ = ["PromptState", "RecentFrame", "SessionState"]

_FORMAT = 1
_HEADER = "session"
_CHANNELS_LAST = "_channels_last"


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
class PromptState:
    """A prompt and its memory.

    Attributes:
        prompt: The sentence.
        text: Its CLIP features, one row.
        tracks: Objects it refers to.
        window: None until the first frame; the recent frames are then replayed.
        mask_features: Of the frames that wait for lookahead, oldest first, `(C, H/4, W/4)` each.
    """

    prompt: Prompt
    text: TextFeatures
    tracks: TrackState
    window: WindowState | None = None
    mask_features: tuple[Tensor, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class SessionState:
    """State of one stream. Nothing in it is ever changed in place, so keeping it is a snapshot.

    Attributes:
        fingerprint: Of the model's sizes and the session's settings; a state only fits these.
        version: Version of the prompts.
        next_prompt_number: For ids of prompts that the user did not name.
        first_free_track_id: No id from here on was ever given in this session.
        timeline: Times and numbers of frames.
        prompts: In order of adding.
        recent: The last frames, oldest first, at most a window.
        pending: Frames whose final results wait for lookahead.
    """

    fingerprint: str
    version: int = 0
    next_prompt_number: int = 1
    first_free_track_id: int = 1
    timeline: Timeline = field(default_factory=Timeline)
    prompts: tuple[PromptState, ...] = ()
    recent: tuple[RecentFrame, ...] = ()
    pending: tuple[FrameStamp, ...] = ()

    @property
    def next_emitted_index(self) -> int:
        """Index of the next frame that gets final results."""
        return self.pending[0].index if self.pending else self.timeline.next_index

    def to_bytes(self) -> bytes:
        """Serialise without pickle: a safetensors file with the rest as JSON in its header."""
        tensors: dict[str, Tensor] = {}

        def keep(value: Any) -> str:
            if not isinstance(value, Tensor):
                raise TypeError(f"cannot serialise {type(value).__name__}")
            name = f"t{len(tensors)}" + (_CHANNELS_LAST if _is_channels_last(value) else "")
            tensors[name] = value.detach().cpu().contiguous().clone()
            return name

        plain = msgspec.to_builtins(self, enc_hook=keep)
        header = msgspec.json.encode({"format": _FORMAT, "digest": _digest(plain, tensors), "state": plain}).decode()
        return safetensors.torch.save(tensors, metadata={_HEADER: header})

    @classmethod
    def from_bytes(cls, data: bytes, device: torch.device | str = "cpu") -> "SessionState":
        """Read a state back.

        Args:
            data: Output of `to_bytes`.
            device: Where its tensors go.
        Raises:
            SessionStateError: Not a session state, damaged, or of another format version.
        """

        def take(_: type, name: str) -> Tensor:
            tensor = tensors[name].to(device)
            return tensor.to(memory_format=torch.channels_last) if name.endswith(_CHANNELS_LAST) else tensor

        try:
            tensors = safetensors.torch.load(data)
            length = int.from_bytes(data[:8], "little")
            metadata = msgspec.json.decode(data[8 : 8 + length])["__metadata__"]
            content = msgspec.json.decode(metadata[_HEADER])
            if content["digest"] != _digest(content["state"], tensors):
                raise ValueError("damaged: the digest does not fit the content")
            if content["format"] != _FORMAT:
                raise SessionStateError(
                    f"session state has format {content['format']}; this version reads format {_FORMAT}: "
                    f"start a new session"
                )
            return msgspec.convert(content["state"], cls, dec_hook=take, str_keys=True)
        except (SafetensorError, msgspec.MsgspecError, KeyError, ValueError, TypeError, RecursionError) as error:
            raise SessionStateError(
                f"these {len(data)} bytes are not a session state ({error}); expected the output of "
                f"SessionState.to_bytes(): start a new session"
            ) from error


def _is_channels_last(tensor: Tensor) -> bool:
    """Whether memory order differs from axis order; a convolution rounds otherwise then, so it is kept."""
    return not tensor.is_contiguous() and tensor.dim() == 4 and tensor.is_contiguous(memory_format=torch.channels_last)


def _digest(plain: object, tensors: Mapping[str, Tensor]) -> str:
    """Digest of all that a file holds; safetensors itself does not notice a changed number."""
    digest = hashlib.sha256(msgspec.json.encode(plain))
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def fingerprint(*parts: object) -> str:
    """Short digest of settings, by their representation."""
    return hashlib.sha256("|".join(map(repr, parts)).encode()).hexdigest()[:16]
