"""Feature maps of a frame under a sentence: from the encoder to queries."""

from collections.abc import Iterator

from ssa_stream.protocols.fields import Whole
from ssa_stream.protocols.identity import FrameIdentity, FrameSizes, Prompt, StageTimes
from ssa_stream.protocols.message import BufferUse, Message
from ssa_stream.protocols.tensors import TensorSpec

__all__ = ["FeaturesMessage"]


class FeaturesMessage(Message, frozen=True, kw_only=True, tag="features"):
    """Text-conditioned features of one frame under one prompt.

    Attributes:
        frame: Which frame.
        prompt: Under which sentence.
        sizes: Of the frame.
        maps: At strides 4, 8, 16 and 32, `(C_i, H_i, W_i)` each, of the padded frame.
        sentence: CLIP's vector of the sentence, `(E,)`; None if the receiver has it.
        frames_missed: As in the frame's message.
        times: Of the stages so far.
    """

    frame: FrameIdentity
    prompt: Prompt
    sizes: FrameSizes
    maps: tuple[TensorSpec, TensorSpec, TensorSpec, TensorSpec]
    sentence: TensorSpec | None = None
    frames_missed: Whole = 0
    times: StageTimes = ()

    def __post_init__(self) -> None:
        for i, item in enumerate(self.maps):
            item.expect_rank(f"maps[{i}]", 3)
        if self.sentence is not None:
            self.sentence.expect_rank("sentence", 1)

    def buffer_uses(self) -> Iterator[BufferUse]:
        """Maps and sentence."""
        for i, item in enumerate(self.maps):
            yield item.use(f"maps[{i}]")
        if self.sentence is not None:
            yield self.sentence.use("sentence")
