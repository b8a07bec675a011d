"""Source pictures: from ingest to the encoder."""

from collections.abc import Iterator
from typing import Literal

from ssa_stream.protocols.fields import Whole
from ssa_stream.protocols.identity import FrameIdentity, StageTimes
from ssa_stream.protocols.message import BufferUse, Message
from ssa_stream.protocols.tensors import TensorSpec

__all__ = ["FrameMessage"]


class FrameMessage(Message, frozen=True, kw_only=True, tag="frame"):
    """One picture.

    Attributes:
        frame: Which one.
        image: `(H, W, 3)` uint8.
        prompts_version: Version of the stream's prompts that applies to it, fixed once for all nodes.
        colour: Order of the channels.
        frames_missed: Frames dropped or lost between the previous message and this one.
        times: Of the stages so far.
    """

    frame: FrameIdentity
    image: TensorSpec
    prompts_version: Whole
    colour: Literal["rgb"] = "rgb"
    frames_missed: Whole = 0
    times: StageTimes = ()

    def __post_init__(self) -> None:
        if self.image.dtype != "uint8" or len(self.image.shape) != 3 or self.image.shape[2] != 3:
            raise ValueError(f"image is {self.image.dtype} {self.image.shape}; expected uint8 (height, width, 3)")

    def buffer_uses(self) -> Iterator[BufferUse]:
        """The picture."""
        yield self.image.use("image")
