"""Queries of frames and of videos, and mask features: between queries, decoder and masks."""

from collections.abc import Iterator

from ssa_stream.protocols.fields import Whole
from ssa_stream.protocols.identity import FrameIdentity, FrameSizes, Prompt, StageTimes, Status
from ssa_stream.protocols.message import BufferUse, Message
from ssa_stream.protocols.tensors import TensorSpec

__all__ = ["FrameQueriesMessage", "MaskFeaturesMessage", "VideoQueriesMessage"]


class FrameQueriesMessage(Message, frozen=True, kw_only=True, tag="frame_queries"):
    """Instance queries of one frame under one prompt: from queries to the decoder.

    Attributes:
        frame: Which frame.
        prompt: Under which sentence.
        sizes: Of the frame.
        queries: As generated, before projection and alignment, `(N, C)`.
        text: The sentence fused with the frame, `(C,)`.
        frames_missed: As in the frame's message.
        times: Of the stages so far.
    """

    frame: FrameIdentity
    prompt: Prompt
    sizes: FrameSizes
    queries: TensorSpec
    text: TensorSpec
    frames_missed: Whole = 0
    times: StageTimes = ()

    def __post_init__(self) -> None:
        self.queries.expect_rank("queries", 2)
        self.text.expect_rank("text", 1)
        if self.queries.shape[1:] != self.text.shape:
            raise ValueError(f"queries {self.queries.shape} and text {self.text.shape}; expected (N, C) and (C,)")

    def buffer_uses(self) -> Iterator[BufferUse]:
        """Queries and text."""
        yield self.queries.use("queries")
        yield self.text.use("text")


class MaskFeaturesMessage(Message, frozen=True, kw_only=True, tag="mask_features"):
    """Mask features of one frame under one prompt: from queries straight to masks.

    Attributes:
        frame: Which frame.
        prompt: Under which sentence.
        sizes: Of the frame.
        mask_features: `(C, H/4, W/4)` of the padded frame.
        times: Of the stages so far.
    """

    frame: FrameIdentity
    prompt: Prompt
    sizes: FrameSizes
    mask_features: TensorSpec
    times: StageTimes = ()

    def __post_init__(self) -> None:
        self.mask_features.expect_rank("mask_features", 3)

    def buffer_uses(self) -> Iterator[BufferUse]:
        """The mask features."""
        yield self.mask_features.use("mask_features")


class VideoQueriesMessage(Message, frozen=True, kw_only=True, tag="video_queries"):
    """What the window that ends at a frame says about it: from the decoder to masks.

    Attributes:
        frame: The frame that the masks will be of.
        index: Its number in the stream's session, from 0, across epochs.
        prompt: Under which sentence.
        sizes: Of the frame.
        probability: Of each video query, `(N,)` float32.
        mask_embedding: Of each video query, `(N, C)`.
        aligned: The frame's queries in slot order, `(N, C)`; they tell tracks apart.
        status: Whether another result for the frame follows.
        frames_missed: Frames lost between the frame before this one and this one.
        after_reset: Whether the stream's memory was cleared just before this frame.
        times: Of the stages so far.
    """

    frame: FrameIdentity
    index: Whole
    prompt: Prompt
    sizes: FrameSizes
    probability: TensorSpec
    mask_embedding: TensorSpec
    aligned: TensorSpec
    status: Status = "final"
    frames_missed: Whole = 0
    after_reset: bool = False
    times: StageTimes = ()

    def __post_init__(self) -> None:
        self.probability.expect_rank("probability", 1)
        self.mask_embedding.expect_rank("mask_embedding", 2)
        self.aligned.expect_rank("aligned", 2)
        if self.probability.dtype != "float32":
            raise ValueError(f"probability is {self.probability.dtype}; expected float32")
        if not self.probability.shape[0] == self.mask_embedding.shape[0] == self.aligned.shape[0]:
            raise ValueError(
                f"{self.probability.shape[0]} probabilities, {self.mask_embedding.shape[0]} embeddings and "
                f"{self.aligned.shape[0]} aligned queries; expected as many of each"
            )

    def buffer_uses(self) -> Iterator[BufferUse]:
        """Probabilities, embeddings and aligned queries."""
        yield self.probability.use("probability")
        yield self.mask_embedding.use("mask_embedding")
        yield self.aligned.use("aligned")
