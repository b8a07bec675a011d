"""Feature maps of a frame under its sentences: from the encoder to queries."""

from collections.abc import Iterator

from ssa_stream.protocols.fields import Whole
from ssa_stream.protocols.message import BufferUse, Message
from ssa_stream.protocols.tensors import TensorSpec
from ssa_stream.protocols.work import FrameWork

__all__ = ["FeaturesMessage"]


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
