"""Masks go into label maps and come out as they were."""

import lz4.block
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from ssa_stream.errors import MessageError
from ssa_stream.protocols import (
    Buffers,
    LabelMaps,
    Limits,
    MaskMessage,
    Track,
    decode,
    encode,
    pack_labels,
    unpack_labels,
)
from tests.support.mask_messages import mask_message
from tests.unit.protocols.samples import LABELS, OVERLAP, samples


def _sent(masks: list[NDArray[np.bool_]], size: tuple[int, int]) -> tuple[MaskMessage, LabelMaps]:
    packet = decode(encode(*mask_message(masks, size=size)), Limits())
    assert isinstance(packet.message, MaskMessage)
    return packet.message, unpack_labels(packet.message, packet.buffers)


@settings(max_examples=100, deadline=None, database=None)
@given(st.data())
def test_any_masks_come_back_exactly(data: st.DataObject) -> None:
    """However they overlap, and if they are empty."""
    size = data.draw(st.tuples(st.integers(1, 8), st.integers(1, 8)))
    masks = data.draw(st.lists(arrays.arrays(np.bool_, size), max_size=6))
    message, labels = _sent(masks, size)
    for track, mask in zip(message.tracks, masks, strict=True):
        assert np.array_equal(labels.mask(track), mask)
    assert np.array_equal(labels.merged(message.tracks), np.any([np.zeros(size, dtype=bool), *masks], axis=0))
    overlap = int(np.sum(masks, axis=0).max()) if masks else 0
    assert overlap <= len(labels.layers) <= max(len(masks), overlap)


def test_layers_are_only_as_many_as_overlaps_need() -> None:
    """Two tracks that lie apart share a map; a third that touches both takes another."""
    masks = [LABELS == 1, LABELS == 2, OVERLAP == 3]
    message, labels = _sent(masks, (4, 6))
    assert [(track.layer, track.label) for track in message.tracks] == [(0, 1), (0, 2), (1, 3)]
    assert np.array_equal(labels.layers[0], LABELS)
    assert np.array_equal(labels.layers[1], OVERLAP)
    assert not labels.layers[0].flags.writeable


def test_nothing_found_takes_no_layer() -> None:
    """The message says so, and is small."""
    message, labels = _sent([], (4, 6))
    assert (message.target_present, message.layers, labels.layers) == (False, (), ())
    assert not labels.merged(message.tracks).any()


def test_more_tracks_than_a_byte_counts_take_two_bytes() -> None:
    """Three hundred pixels, a track each."""
    masks = list(np.eye(300, dtype=np.bool_).reshape(300, 15, 20))
    message, labels = _sent(masks, (15, 20))
    assert [layer.dtype for layer in message.layers] == ["uint16"]
    assert np.array_equal(labels.layers[0].reshape(-1), np.arange(1, 301))


def test_given_boxes_change_nothing() -> None:
    """They only save looking for them."""
    masks = [LABELS == 1, LABELS == 2, OVERLAP == 3]
    found, given_ = Buffers(), Buffers()
    assert pack_labels(masks, found) == pack_labels(masks, given_, [(1, 0, 3, 2), (3, 1, 5, 3), (2, 1, 4, 3)])
    assert [bytes(found[i]) for i in range(2)] == [bytes(given_[i]) for i in range(2)]


@pytest.mark.parametrize(
    "masks",
    [
        [np.ones((2, 2), dtype=np.bool_), np.ones((2, 3), dtype=np.bool_)],
        [np.ones(4, dtype=np.bool_)],
        [np.zeros((1, 1), dtype=np.bool_)] * 513,
        [np.ones((1, 1), dtype=np.bool_)] * 33,
    ],
    ids=["sizes", "rank", "tracks", "layers"],
)
def test_masks_that_cannot_be_sent_are_refused(masks: list[NDArray[np.bool_]]) -> None:
    """Of several sizes, too many, or all in one place."""
    with pytest.raises(MessageError, match=r"expected at most 512|at most 32 can be sent"):
        pack_labels(masks, Buffers())


@pytest.mark.parametrize(
    "block",
    [b"\xff" * 30, lz4.block.compress(bytes(23), store_size=False), lz4.block.compress(bytes(25), store_size=False)],
    ids=["noise", "too_short", "too_long"],
)
def test_layer_that_does_not_unpack_to_its_size_is_refused(block: bytes) -> None:
    """Neither a shorter nor a longer one is taken for the picture."""
    sample = samples()["masks"]
    topic, header, _, *rest = encode(sample.message, sample.buffers)
    packet = decode([topic, header, block, *rest], Limits())
    assert isinstance(packet.message, MaskMessage)
    with pytest.raises(MessageError, match="a label map"):
        unpack_labels(packet.message, packet.buffers)


def test_run_lengths_and_label_map_show_the_same_mask() -> None:
    """Of the sample's first track."""
    sample = samples()["masks"]
    packet = decode(encode(sample.message, sample.buffers), Limits())
    assert isinstance(packet.message, MaskMessage)
    labels = unpack_labels(packet.message, packet.buffers)
    track = packet.message.tracks[0]
    only_rle = Track(
        id=1, score=1.0, probability=1.0, box_xyxy=track.box_xyxy, area_px=track.area_px, label=0, rle=track.rle
    )
    assert np.array_equal(labels.mask(only_rle), labels.mask(track))
    assert np.array_equal(labels.mask(track), LABELS == 1)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"label": 0}, "neither label nor rle"),
        ({"box_xyxy": (3, 0, 1, 2)}, "expected left, top, right, bottom"),
    ],
    ids=["no_mask", "box"],
)
def test_track_that_makes_no_sense_is_refused(change: dict[str, object], complaint: str) -> None:
    """On construction, and so on reading."""
    values: dict[str, object] = {"id": 1, "score": 1.0, "probability": 1.0, "box_xyxy": (0, 0, 1, 1), "area_px": 1}
    with pytest.raises(ValueError, match=complaint):
        Track(**{**values, "label": 1, **change})  # type: ignore[arg-type] # wrong on purpose
