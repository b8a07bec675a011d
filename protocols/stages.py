"""Tensors between the stages of the network: feature maps, frame queries, mask features and video queries."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from ssa_stream.protocols.fields import MAX_HISTORY, Whole
from ssa_stream.protocols.identity import (
    FrameIdentity,
    FrameSizes,
    Prompts,
    StageTimes,
    Status,
    expect_unique_ids,
)
from ssa_stream.protocols.message import BufferUse, Message
from ssa_stream.protocols.tensors import TensorSpec
from ssa_stream.protocols.work import FrameWork

__all__ = ["FeaturesMessage", "FrameQueriesMessage", "MaskFeaturesMessage", "VideoQueriesMessage"]


class FeaturesMessage(Message, frozen=True, kw_only=True, tag="features"):
    """Text-conditioned features of `R` consecutive rows of a frame's work.

    A frame may come in several messages. One without prompts comes in one message, of no rows.

    Attributes:
        work: Which frame, and what is to be made of it.
        first_row: Number of the first row within the work.
        maps: At strides 4, 8, 16 and 32, `(R, C_i, H_i, W_i)` each, of the padded frame.
        sentence: CLIP's vector of each row's sentence, `(R, E)`.
    """

    work: FrameWork
    first_row: Whole
    maps: tuple[TensorSpec, TensorSpec, TensorSpec, TensorSpec]
    sentence: TensorSpec

    def __post_init__(self) -> None:
        for i, item in enumerate(self.maps):
            item.expect_rank(f"maps[{i}]", 4)
        self.sentence.expect_rank("sentence", 2)
        counts = [item.shape[0] for item in (*self.maps, self.sentence)]
        if len(set(counts)) > 1:
            raise ValueError(f"maps and sentence of {', '.join(map(str, counts))} rows; expected as many of each")
        self.work.expect_rows(self.first_row, counts[0])

    def buffer_uses(self) -> Iterator[BufferUse]:
        """Maps and sentence."""
        for i, item in enumerate(self.maps):
            yield item.use(f"maps[{i}]")
        yield self.sentence.use("sentence")


class FrameQueriesMessage(Message, frozen=True, kw_only=True, tag="frame_queries"):
    """Instance queries of `R` consecutive rows of a frame's work: from queries to the decoder.

    A frame may come in several messages. One without prompts comes in one message, of no rows.

    Attributes:
        work: Which frame, and what is to be made of it.
        first_row: Number of the first row within the work.
        queries: As generated, before projection and alignment, `(R, N, C)`.
        text: The row's sentence fused with its frame, `(R, C)`.
    """

    work: FrameWork
    first_row: Whole
    queries: TensorSpec
    text: TensorSpec

    def __post_init__(self) -> None:
        self.queries.expect_rank("queries", 3)
        self.text.expect_rank("text", 2)
        rows, _, width = self.queries.shape
        if self.text.shape != (rows, width):
            raise ValueError(f"queries {self.queries.shape} and text {self.text.shape}; expected (R, N, C) and (R, C)")
        self.work.expect_rows(self.first_row, rows)

    def buffer_uses(self) -> Iterator[BufferUse]:
        """Queries and text."""
        yield self.queries.use("queries")
        yield self.text.use("text")


class MaskFeaturesMessage(Message, frozen=True, kw_only=True, tag="mask_features"):
    """Mask features of those rows of a frame's work that masks are made of: from queries straight to masks.

    Each row is a tensor of its own, so that it keeps its memory order and can be let go alone.

    Attributes:
        work: Which frame, and what is to be made of it.
        first_row: Number within the work of the first row of the batch that these are from.
        rows: Numbers of the rows within the work, ascending.
        mask_features: `(C, H/4, W/4)` of the padded frame, one per row in `rows`.
    """

    work: FrameWork
    first_row: Whole
    rows: Annotated[tuple[Whole, ...], Meta(max_length=MAX_HISTORY)]
    mask_features: Annotated[tuple[TensorSpec, ...], Meta(max_length=MAX_HISTORY)]

    def __post_init__(self) -> None:
        for i, item in enumerate(self.mask_features):
            item.expect_rank(f"mask_features[{i}]", 3)
        if len(self.rows) != len(self.mask_features):
            raise ValueError(f"{len(self.mask_features)} mask features for {len(self.rows)} rows; expected one each")
        if any(left >= right for left, right in pairwise((self.first_row - 1, *self.rows))):
            raise ValueError(f"rows is {self.rows}; expected ascending numbers from first_row {self.first_row} on")
        end = self.rows[-1] + 1 if self.rows else self.first_row
        self.work.expect_rows(self.first_row, end - self.first_row)

    def buffer_uses(self) -> Iterator[BufferUse]:
        """The mask features."""
        for i, item in enumerate(self.mask_features):
            yield item.use(f"mask_features[{i}]")


class VideoQueriesMessage(Message, frozen=True, kw_only=True, tag="video_queries"):
    """Results of the windows that end at a frame, of `P` prompts: from the decoder to masks.

    Attributes:
        frame: The frame that the masks will be of.
        sizes: Of the frame.
        prompts: Under which sentences, `P` of them.
        probability: Of each video query, `(P, N)` float32.
        mask_embedding: Of each video query, `(P, N, C)`.
        aligned: The frame's queries in slot order, `(P, N, C)`; they tell tracks apart.
        memory_from: Index of the first frame of the stream's present memory; tracks of an earlier memory do not go on.
        status: Whether another result for the frame follows.
        frames_missed: Frames lost between the frame before this one and this one.
        after_reset: Whether the stream's memory was cleared just before this frame.
        times: Of the stages so far.
        prompts_version: Version of the stream's prompts that these are; absent if the decoder does not tell.
    """

    frame: FrameIdentity
    sizes: FrameSizes
    prompts: Prompts
    probability: TensorSpec
    mask_embedding: TensorSpec
    aligned: TensorSpec
    memory_from: Whole
    status: Status = "final"
    frames_missed: Whole = 0
    after_reset: bool = False
    times: StageTimes = ()
    prompts_version: Whole | UnsetType = UNSET

    def __post_init__(self) -> None:
        expect_unique_ids(self.prompts)
        self.probability.expect_rank("probability", 2)
        self.mask_embedding.expect_rank("mask_embedding", 3)
        self.aligned.expect_rank("aligned", 3)
        if self.probability.dtype != "float32":
            raise ValueError(f"probability is {self.probability.dtype}; expected float32")
        if self.probability.shape[0] != len(self.prompts):
            raise ValueError(f"probability {self.probability.shape} for {len(self.prompts)} prompts; expected (P, N)")
        if not self.probability.shape == self.mask_embedding.shape[:2] == self.aligned.shape[:2]:
            raise ValueError(
                f"probability {self.probability.shape}, mask_embedding {self.mask_embedding.shape} and aligned "
                f"{self.aligned.shape}; expected (P, N), (P, N, C) and (P, N, C)"
            )

    def buffer_uses(self) -> Iterator[BufferUse]:
        """Probabilities, embeddings and aligned queries."""
        yield self.probability.use("probability")
        yield self.mask_embedding.use("mask_embedding")
        yield self.aligned.use("aligned")
