"""Label maps: the masks of several tracks in one image of integers, packed with LZ4."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import lz4.block
import numpy as np
from numpy.typing import NDArray

from ssa_stream.errors import MessageError
from ssa_stream.protocols.fields import MAX_LAYERS, MAX_TRACKS
from ssa_stream.protocols.masks import LabelLayer, MaskMessage, Track
from ssa_stream.protocols.tensors import Buffers, flat_view
from ssa_stream.run_lengths import decode_counts

__all__ = ["LabelMaps", "PackedLabels", "Place", "pack_labels", "unpack_labels"]

LabelMap = NDArray[np.uint8] | NDArray[np.uint16]
Box = tuple[int, int, int, int]


class Place(NamedTuple):
    """Where the mask of a track is: the layer, and the label there."""

    layer: int
    label: int


class PackedLabels(NamedTuple):
    """Fields of a mask message: its layers, and one place per mask, in the order of the masks."""

    layers: tuple[LabelLayer, ...]
    places: tuple[Place, ...]


def pack_labels(
    masks: Sequence[NDArray[np.bool_]], buffers: Buffers, boxes: Sequence[Box] | None = None
) -> PackedLabels:
    """Pack masks into as few label maps as a greedy choice needs, and those into buffers.

    Labels count from 1 through all layers. A mask goes to the first layer where its pixels are free.

    Args:
        masks: `(H, W)` each, all of one size.
        buffers: Of the message; each layer is added.
        boxes: Tight boxes of the masks: left, top, right, bottom, exclusive. Found if not given.
    Raises:
        MessageError: Too many, of several sizes, or overlapping too much.
    """
    if len(masks) > MAX_TRACKS or len({mask.shape for mask in masks}) > 1 or any(mask.ndim != 2 for mask in masks):
        raise MessageError(
            f"{len(masks)} masks of shapes {sorted({mask.shape for mask in masks})[:3]}; expected at most {MAX_TRACKS} "
            f"of one shape (H, W)"
        )
    dtype = np.dtype("u1") if len(masks) <= 255 else np.dtype("<u2")
    maps: list[LabelMap] = []
    places = []
    for label, mask in enumerate(masks, start=1):
        left, top, right, bottom = boxes[label - 1] if boxes is not None else _box(mask)
        inside = np.s_[top:bottom, left:right]
        part = mask[inside]
        free = (i for i, layer in enumerate(maps) if not np.logical_and(layer[inside], part).any())
        layer = next(free, len(maps))
        if layer == len(maps):
            maps.append(np.zeros(mask.shape, dtype=dtype))
        np.copyto(maps[layer][inside], label, where=part)
        places.append(Place(layer, label))
    if len(maps) > MAX_LAYERS:
        raise MessageError(f"masks overlap so much that they need {len(maps)} layers; at most {MAX_LAYERS} can be sent")
    return PackedLabels(tuple(_pack(layer, buffers) for layer in maps), tuple(places))


@dataclass(frozen=True, slots=True, eq=False)
class LabelMaps:
    """The masks of a message.

    Attributes:
        size: Height and width.
        layers: `(H, W)` uint8 or uint16 each, read-only.
        buffers: Of the message, for run lengths.
    """

    size: tuple[int, int]
    layers: tuple[LabelMap, ...]
    buffers: Sequence[memoryview]

    def mask(self, track: Track) -> NDArray[np.bool_]:
        """Mask of one of the message's tracks, `(H, W)` bool.

        Raises:
            MessageError: Its run lengths are malformed.
        """
        if track.label:
            return np.equal(self.layers[track.layer], track.label)
        assert track.rle is not None, "a track without label has run lengths"
        return decode_counts(self.buffers[track.rle], self.size)

    def merged(self, tracks: Sequence[Track]) -> NDArray[np.bool_]:
        """Union of tracks' masks, `(H, W)` bool."""
        union = np.zeros(self.size, dtype=np.bool_)
        for track in tracks:
            union |= self.mask(track)
        return union


def unpack_labels(message: MaskMessage, buffers: Sequence[memoryview]) -> LabelMaps:
    """Unpack the label maps of a decoded mask message.

    Args:
        message: The message; `decode` has held its sizes to the limits.
        buffers: The packet's.
    Raises:
        MessageError: A layer is not an LZ4 block, or not of the length that the message says.
    """
    return LabelMaps(
        message.size, tuple(_unpack(layer, buffers[layer.buffer], message.size) for layer in message.layers), buffers
    )


def _pack(labels: LabelMap, buffers: Buffers) -> LabelLayer:
    packed = lz4.block.compress(flat_view(labels), store_size=False)
    return LabelLayer(
        buffer=buffers.add_bytes(packed),
        raw_bytes=labels.nbytes,
        dtype="uint8" if labels.dtype.itemsize == 1 else "uint16",
    )


def _unpack(layer: LabelLayer, packed: memoryview, size: tuple[int, int]) -> LabelMap:
    try:
        raw = lz4.block.decompress(packed, uncompressed_size=layer.raw_bytes)
    except (lz4.block.LZ4BlockError, ValueError) as error:
        raise MessageError(f"a label map is not an LZ4 block of {layer.raw_bytes} bytes: {error}") from error
    if len(raw) != layer.raw_bytes:
        raise MessageError(f"a label map unpacks to {len(raw)} bytes; expected {layer.raw_bytes}")
    return np.frombuffer(raw, dtype="u1" if layer.dtype == "uint8" else "<u2").reshape(size)


def _box(mask: NDArray[np.bool_]) -> Box:
    columns = np.flatnonzero(mask.any(axis=0))
    rows = np.flatnonzero(mask.any(axis=1))
    if not len(columns):
        return 0, 0, 0, 0
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
