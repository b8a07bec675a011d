"""Messages with tensors of any kind, for tests of what carries them."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssa_stream.nodes.runtime.transport.payload import OutgoingPayload
from ssa_stream.protocols import (
    AppliesFrom,
    FeaturesMessage,
    FrameIdentity,
    FrameSizes,
    FrameWork,
    MaskFeaturesMessage,
    PictureMessage,
    Prompt,
    WorkPrompt,
)

__all__ = ["bits", "features", "first_tensor", "frame", "mask_features", "picture", "work"]


def frame(seq: int = 0, epoch: int = 0, stream: str = "cam0", t_receive_ns: int = 0) -> FrameIdentity:
    """A frame's name."""
    return FrameIdentity(
        stream=stream,
        epoch=epoch,
        seq=seq,
        index=seq,
        t=float(seq),
        t_receive_ns=t_receive_ns,
        receive_clock="monotonic:test",
    )


def work(identity: FrameIdentity, num_rows: int) -> FrameWork:
    """A frame with one prompt of so many rows."""
    prompt = Prompt(id="p1", text="the red circle", version=1)
    return FrameWork(
        frame=identity,
        sizes=FrameSizes(source=(4, 6), network=(4, 6), padded=(32, 32)),
        prompts=(WorkPrompt(prompt=prompt, frames=num_rows),) if num_rows else (),
        prompts_version=1,
        applies_from=AppliesFrom(epoch=0, seq=0),
        memory=0,
    )


def picture(image: NDArray[Any], identity: FrameIdentity | None = None) -> tuple[PictureMessage, OutgoingPayload]:
    """A picture, which is an array."""
    payload = OutgoingPayload()
    return PictureMessage(frame=identity or frame(), image=payload.add_array(image)), payload


def mask_features(
    tensors: list[Tensor], identity: FrameIdentity | None = None
) -> tuple[MaskFeaturesMessage, OutgoingPayload]:
    """Tensors of three axes, of any dtype."""
    payload = OutgoingPayload()
    message = MaskFeaturesMessage(
        work=work(identity or frame(), len(tensors)),
        first_row=0,
        rows=tuple(range(len(tensors))),
        mask_features=tuple(payload.add(tensor) for tensor in tensors),
    )
    return message, payload


def features(
    maps: list[Tensor], sentence: Tensor, identity: FrameIdentity | None = None
) -> tuple[FeaturesMessage, OutgoingPayload]:
    """Four tensors of four axes and one of two, of any number of rows."""
    payload = OutgoingPayload()
    first, second, third, fourth = (payload.add(tensor) for tensor in maps)
    message = FeaturesMessage(
        work=work(identity or frame(), len(sentence)),
        first_row=0,
        maps=(first, second, third, fourth),
        sentence=payload.add(sentence),
    )
    return message, payload


def first_tensor(payload: OutgoingPayload) -> Tensor:
    """The first tensor of a payload."""
    first = payload.items[0]
    assert isinstance(first, Tensor)
    return first


def bits(tensor: Tensor) -> tuple[torch.dtype, tuple[int, ...], bytes]:
    """What makes two tensors the same to the last bit; NaN and signs of zero count."""
    flat = np.frombuffer(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy(), np.uint8)
    return tensor.dtype, tuple(tensor.shape), flat.tobytes()
