"""Mask messages: what a robot subscribes to."""

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from ssa_stream.protocols.fields import (
    MAX_LAYERS,
    MAX_TRACKS,
    BufferIndex,
    Edge,
    Keyword,
    Name,
    PixelAspect,
    Share,
    Size,
    Whole,
)
from ssa_stream.protocols.identity import FrameIdentity, Prompt, StageTimes, Status
from ssa_stream.protocols.message import BufferUse, Message

__all__ = ["EncodedPicture", "LabelLayer", "MaskMessage", "Track"]

RUN_LENGTH_WORK_BYTES = 64
"""What reading one character of run lengths may take."""
_COLOUR_CHANNELS = 3
_ITEM_BYTES = {"uint8": 1, "uint16": 2}


class EncodedPicture(Struct, frozen=True, kw_only=True):
    """The picture that masks were made of, in the format of a picture file.

    Attributes:
        buffer: Which buffer holds it.
        size: Its size; the source's unless a smaller one was asked for. The proportions are the source's.
        encoding: Format of the file; in 1.1 always `jpeg`.
    """

    buffer: BufferIndex
    size: Size
    encoding: Keyword = "jpeg"


class LabelLayer(Struct, frozen=True, kw_only=True):
    """One label map: every pixel holds the label of the track that is there, 0 for none.

    Attributes:
        buffer: Which buffer holds it, as one LZ4 block without frame or length.
        raw_bytes: Its length after decompression: height times width times bytes of `dtype`.
        dtype: Type of the labels, little-endian, row by row.
        compression: How it is packed.
    """

    buffer: BufferIndex
    raw_bytes: Annotated[int, Meta(ge=1, le=2**31)]
    dtype: Literal["uint8", "uint16"] = "uint8"
    compression: Literal["lz4_block"] = "lz4_block"


class Track(Struct, frozen=True, kw_only=True):
    """One object that the prompt refers to, in this frame.

    Attributes:
        id: Identity among the objects of its prompt: positive, never given to another one. 0 in a provisional result
            if none is known yet.
        score: `probability` times the mean mask confidence.
        probability: That the object is referred to.
        box_xyxy: Tight box of the mask in source pixels: left, top, right, bottom; right and bottom exclusive.
        area_px: Number of mask pixels at source size.
        layer: Which of the message's layers shows it.
        label: Its value there; 0 if no layer shows it, and then it has run lengths.
        rle: Buffer with the mask as COCO's compressed run lengths, ASCII, of the message's `size`; None unless asked.
    """

    id: Whole
    score: Share
    probability: Share
    box_xyxy: tuple[Edge, Edge, Edge, Edge]
    area_px: Whole
    layer: Annotated[int, Meta(ge=0, le=MAX_LAYERS - 1)] = 0
    label: Annotated[int, Meta(ge=0, le=65535)] = 0
    rle: BufferIndex | None = None

    def __post_init__(self) -> None:
        left, top, right, bottom = self.box_xyxy
        if left > right or top > bottom:
            raise ValueError(f"box_xyxy is {self.box_xyxy}; expected left, top, right, bottom")
        if self.label == 0 and self.rle is None:
            raise ValueError("a track with neither label nor rle; expected its mask as one of them")


class MaskMessage(Message, frozen=True, kw_only=True, tag="masks"):
    """What one prompt refers to in one frame.

    Attributes:
        frame: Which frame.
        prompt: Which sentence.
        model: Name of the network's configuration or checkpoint.
        source_size: Size of the frame.
        size: Size of the masks; the source's unless another was asked for.
        probability: Largest probability over all queries, also when nothing was selected.
        tracks: Objects referred to, by descending score.
        layers: Label maps; more than one only where tracks overlap, none if there are no tracks or run lengths only.
        target_present: Whether there is any track.
        status: `final`, or `provisional` when another result for the same frame and prompt follows.
        frames_missed: Frames lost between the frame before this one and this one.
        after_reset: Whether the stream's memory was cleared just before this frame.
        times: Of all stages, in order.
        pixel_aspect: Width of the source's pixels and their height; absent for square pixels.
        prompts_version: Version of all the stream's prompts in force for the frame; absent if it is not known. That of
            `prompt` is the one that brought the sentence.
        picture: The frame itself, if the graph was asked to send it; else absent. All mask messages of a frame have
            the same one.
    """

    frame: FrameIdentity
    prompt: Prompt
    model: Name
    source_size: Size
    size: Size
    probability: Share
    target_present: bool
    tracks: Annotated[tuple[Track, ...], Meta(max_length=MAX_TRACKS)] = ()
    layers: Annotated[tuple[LabelLayer, ...], Meta(max_length=MAX_LAYERS)] = ()
    status: Status = "final"
    frames_missed: Whole = 0
    after_reset: bool = False
    times: StageTimes = ()
    pixel_aspect: PixelAspect | UnsetType = UNSET
    prompts_version: Whole | UnsetType = UNSET
    picture: EncodedPicture | UnsetType = UNSET

    def __post_init__(self) -> None:
        if self.target_present != bool(self.tracks):
            raise ValueError(f"target_present is {self.target_present} with {len(self.tracks)} tracks")
        height, width = self.size
        for layer in self.layers:
            expected = height * width * _ITEM_BYTES[layer.dtype]
            if layer.raw_bytes != expected:
                raise ValueError(f"raw_bytes is {layer.raw_bytes} for {width}x{height} {layer.dtype}; not {expected}")
        for track in self.tracks:
            if track.label and track.layer >= len(self.layers):
                raise ValueError(f"a track is in layer {track.layer} of {len(self.layers)}")

    def buffer_uses(self) -> Iterator[BufferUse]:
        """Label maps, run lengths and the picture."""
        for i, layer in enumerate(self.layers):
            yield BufferUse(f"layers[{i}]", layer.buffer, unpacked_bytes=layer.raw_bytes, is_lz4=True)
        for i, track in enumerate(self.tracks):
            if track.rle is not None:
                pixels = self.size[0] * self.size[1]
                yield BufferUse(f"tracks[{i}].rle", track.rle, unpacked_bytes=pixels, work_bytes=RUN_LENGTH_WORK_BYTES)
        if not isinstance(self.picture, UnsetType):
            height, width = self.picture.size
            yield BufferUse("picture", self.picture.buffer, unpacked_bytes=height * width * _COLOUR_CHANNELS)
