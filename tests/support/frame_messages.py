"""Messages with tensors of any kind, for tests of what carries them."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssa_stream.nodes.runtime.parcel import Parcel
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

__all__ = ["bits", "features", "frame", "mask_features", "picture", "work"]


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


def picture(image: NDArray[Any], identity: FrameIdentity | None = None) -> tuple[PictureMessage, Parcel]:
    """A picture, which is an array."""
    parcel = Parcel()
    return PictureMessage(frame=identity or frame(), image=parcel.add_array(image)), parcel


def mask_features(tensors: list[Tensor], identity: FrameIdentity | None = None) -> tuple[MaskFeaturesMessage, Parcel]:
    """Tensors of three axes, of any dtype."""
    parcel = Parcel()
    message = MaskFeaturesMessage(
        work=work(identity or frame(), len(tensors)),
        first_row=0,
        rows=tuple(range(len(tensors))),
        mask_features=tuple(parcel.add(tensor) for tensor in tensors),
    )
    return message, parcel


def features(
    maps: list[Tensor], sentence: Tensor, identity: FrameIdentity | None = None
) -> tuple[FeaturesMessage, Parcel]:
    """Four tensors of four axes and one of two, of any number of rows."""
    parcel = Parcel()
    first, second, third, fourth = (parcel.add(tensor) for tensor in maps)
    message = FeaturesMessage(
        work=work(identity or frame(), len(sentence)),
        first_row=0,
        maps=(first, second, third, fourth),
        sentence=parcel.add(sentence),
    )
    return message, parcel


def bits(tensor: Tensor) -> tuple[torch.dtype, tuple[int, ...], bytes]:
    """What makes two tensors the same to the last bit; NaN and signs of zero count."""
    flat = np.frombuffer(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy(), np.uint8)
    return tensor.dtype, tuple(tensor.shape), flat.tobytes()
