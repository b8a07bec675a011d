"""Immutable states as bytes and back: a safetensors file with the rest as JSON in its header; no pickle."""

import hashlib
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, TypeVar

import msgspec
import safetensors.torch
import torch
from torch import Tensor

from ssa_stream.errors import SessionStateError

__all__ = ["FORMAT", "fingerprint", "state_from_bytes", "state_to_bytes"]

FORMAT = 2
_CHANNELS_LAST = "_channels_last"
_FRACTION = re.compile(r"-?[0-9]{1,40}(/0*[1-9][0-9]{0,39})?")
_State = TypeVar("_State")


def state_to_bytes(state: object, kind: str) -> bytes:
    """Serialise a state.

    Args:
        state: A dataclass of plain values, fractions, tensors and such dataclasses.
        kind: One word that says what it is.
    """
    tensors: dict[str, Tensor] = {}

    def keep(value: Any) -> str:
        if isinstance(value, Fraction):
            return str(value)
        if not isinstance(value, Tensor):
            raise TypeError(f"cannot serialise {type(value).__name__}")
        name = f"t{len(tensors)}" + (_CHANNELS_LAST if _is_channels_last(value) else "")
        tensors[name] = value.detach().cpu().contiguous().clone()
        return name

    plain = msgspec.to_builtins(state, enc_hook=keep)
    header = msgspec.json.encode({"format": FORMAT, "digest": _digest(plain, tensors), "state": plain}).decode()
    return safetensors.torch.save(tensors, metadata={kind: header})


def state_from_bytes(data: bytes, state_type: type[_State], kind: str, device: torch.device | str = "cpu") -> _State:
    """Read a state back.

    Args:
        data: Output of `state_to_bytes`.
        state_type: Its class.
        kind: As it was given there.
        device: Where its tensors go.
    Raises:
        SessionStateError: Not such a state, damaged, or of another format version.
    """

    def take(kind: type, name: str) -> Tensor | Fraction:
        if kind is Fraction:
            if not _FRACTION.fullmatch(name):  # 1e999999999 is a fraction, too
                raise ValueError(f"{name[:40]!r} is no fraction")
            return Fraction(name)
        tensor = tensors[name].to(device)
        return tensor.to(memory_format=torch.channels_last) if name.endswith(_CHANNELS_LAST) else tensor

    try:
        tensors = safetensors.torch.load(data)
        length = int.from_bytes(data[:8], "little")
        metadata = msgspec.json.decode(data[8 : 8 + length])["__metadata__"]
        content = msgspec.json.decode(metadata[kind])
        if content["digest"] != _digest(content["state"], tensors):
            raise ValueError("damaged: the digest does not fit the content")
        if content["format"] != FORMAT:
            raise SessionStateError(
                f"{kind} state has format {content['format']}; this version reads format {FORMAT}: start a new session"
            )
        return msgspec.convert(content["state"], state_type, dec_hook=take, str_keys=True)
    except SessionStateError:
        raise
    except Exception as error:  # of three libraries: each has its own for data that make no sense
        raise SessionStateError(
            f"these {len(data)} bytes are not a {kind} state ({error}); expected the output of "
            f"{state_type.__name__}.to_bytes(): start a new session"
        ) from error


def fingerprint(*parts: object) -> str:
    """Short digest of settings, by their representation."""
    return hashlib.sha256("|".join(map(repr, parts)).encode()).hexdigest()[:16]


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
