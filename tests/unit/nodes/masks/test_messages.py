"""A session's result as a message says the same."""

import numpy as np
import pytest
from numpy.typing import NDArray

from ssa_stream.nodes.masks.messages import mask_message, model_name
from ssa_stream.protocols import FrameSizes, Limits, MaskMessage, decode, encode, unpack_labels
from ssa_stream.streaming import MaskResult, TrackMask
from tests.support.frame_works import frame

SIZES = FrameSizes(source=(32, 64), network=(16, 32), padded=(32, 32))


def _track(track_id: int, left: int, top: int, right: int, bottom: int) -> TrackMask:
    mask = np.zeros((32, 64), dtype=np.bool_)
    mask[top:bottom, left:right] = True
    return TrackMask(track_id, 1.0000001, 0.9, (left, top, right, bottom), int(mask.sum()), mask)


TRACKS = (_track(3, 0, 0, 40, 20), _track(7, 30, 10, 50, 30), _track(8, 60, 30, 61, 31))


def _result(*tracks: TrackMask) -> MaskResult:
    return MaskResult("p1", "a dog", 2, 5, 0.5, (32, 64), tracks, 0.9, "final", 3, True)


def _sent(
    result: MaskResult, *, size: str = "source", rle: bool = False
) -> tuple[MaskMessage, list[NDArray[np.bool_]]]:
    wanted = "network" if size == "network" else "source"
    message, buffers = mask_message(result, frame(5), SIZES, model="tiny", size=wanted, with_run_lengths=rle)  # type: ignore[arg-type]
    packet = decode(encode(message, buffers), Limits())
    assert isinstance(packet.message, MaskMessage)
    maps = unpack_labels(packet.message, packet.buffers)
    return packet.message, [maps.mask(track) for track in packet.message.tracks]


@pytest.mark.parametrize("rle", [False, True])
def test_masks_come_out_as_they_went_in(rle: bool) -> None:
    """Overlapping ones, too; a score above 1 by rounding is 1."""
    message, masks = _sent(_result(*TRACKS), rle=rle)
    for track, mask in zip(TRACKS, masks, strict=True):
        np.testing.assert_array_equal(mask, track.mask)
    assert [track.id for track in message.tracks] == [3, 7, 8]
    assert message.tracks[0].score == 1.0
    assert (message.prompt.version, message.frames_missed, message.after_reset) == (2, 3, True)
    assert len(message.layers) == 2
    assert all((track.rle is not None) is rle for track in message.tracks)


def test_masks_at_network_size_keep_boxes_of_the_source() -> None:
    """Each pixel is the one under its centre."""
    message, masks = _sent(_result(*TRACKS), size="network")
    assert message.size == (16, 32)
    assert message.tracks[0].box_xyxy == (0, 0, 40, 20)
    expected = np.zeros((16, 32), dtype=np.bool_)
    expected[:10, :20] = True
    np.testing.assert_array_equal(masks[0], expected)


def test_frame_without_target_has_no_layers() -> None:
    """It says so."""
    message, masks = _sent(_result())
    assert (message.target_present, message.layers, masks) == (False, (), [])


@pytest.mark.parametrize(("name", "expected"), [("ssa-tiny", "ssa-tiny"), ("my net/v2", "my-net-v2"), ("__", "model")])
def test_names_of_networks_fit_the_wire(name: str, expected: str) -> None:
    """Whatever the file is called."""
    assert model_name(name) == expected
