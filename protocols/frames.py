"""Pictures: from ingest to the encoder, and to viewers that draw on them."""

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta

from ssa_stream.protocols.fields import MAX_HISTORY
from ssa_stream.protocols.identity import FrameIdentity
from ssa_stream.protocols.message import BufferUse, Message
from ssa_stream.protocols.tensors import TensorSpec
from ssa_stream.protocols.work import FrameWork

__all__ = ["FrameMessage", "PictureMessage"]


class FrameMessage(Message, frozen=True, kw_only=True, tag="frame"):
    """One picture at the network's size: from ingest to an encoder.

    Attributes:
        work: Which frame, and what is to be made of it.
        image: `(h, w, 3)` uint8, of `work.sizes.network`.
        history: Pictures of the frames before it, of the same shape, oldest first: as many as the prompt with the
            most frames needs beside this one.
        colour: Order of the channels.
    """

    work: FrameWork
    image: TensorSpec
    history: Annotated[tuple[TensorSpec, ...], Meta(max_length=MAX_HISTORY)] = ()
    colour: Literal["rgb"] = "rgb"

    def __post_init__(self) -> None:
        for field, spec in self._pictures():
            _expect_picture(field, spec)
            if spec.shape[:2] != self.work.sizes.network:
                raise ValueError(f"{field} is {spec.shape[:2]}; expected the network's size {self.work.sizes.network}")
        if len(self.history) != self.work.num_history:
            raise ValueError(f"{len(self.history)} earlier pictures; the prompts need {self.work.num_history}")

    def buffer_uses(self) -> Iterator[BufferUse]:
        """The pictures."""
        for field, spec in self._pictures():
            yield spec.use(field)

    def _pictures(self) -> Iterator[tuple[str, TensorSpec]]:
        yield "image", self.image
        yield from ((f"history[{i}]", spec) for i, spec in enumerate(self.history))


class PictureMessage(Message, frozen=True, kw_only=True, tag="picture"):
    """A picture as it came from the source: from ingest to whoever draws on it.

    Attributes:
        frame: Which frame.
        image: `(H, W, 3)` uint8, of the source's size.
        colour: Order of the channels.
    """

    frame: FrameIdentity
    image: TensorSpec
    colour: Literal["rgb"] = "rgb"

    def __post_init__(self) -> None:
        _expect_picture("image", self.image)

    def buffer_uses(self) -> Iterator[BufferUse]:
        """The picture."""
        yield self.image.use("image")


def _expect_picture(field: str, spec: TensorSpec) -> None:
    """Refuse what is no picture.

    Raises:
        ValueError: So that the codec says in which field it is.
    """
    if spec.dtype != "uint8" or len(spec.shape) != 3 or spec.shape[2] != 3:
        raise ValueError(f"{field} is {spec.dtype} {spec.shape}; expected uint8 (height, width, 3)")
