"""What a robot gets."""

import lz4.block
import numpy as np
import pytest

from ssa_stream.errors import MessageError
from ssa_stream.protocols import decode_counts
from tests.support.mask_messages import CLOCK, circle, mask_parts, mask_view

LEFT, RIGHT = circle(centre=(18, 20)), circle(centre=(18, 30))


def test_view_gives_masks_of_overlapping_tracks() -> None:
    """One by one, together, as label maps and as run lengths."""
    view = mask_view(mask_parts(masks=[LEFT, RIGHT]))
    first, second = view.tracks
    assert np.array_equal(view.mask(first), LEFT)
    assert np.array_equal(view.mask(second), RIGHT)
    assert np.array_equal(view.merged(), LEFT | RIGHT)
    assert np.array_equal(view.merged([second]), RIGHT)
    assert len(view.layers) == 2
    assert np.array_equal(view.labels == first.label, LEFT)
    assert view.rle(second)["size"] == [36, 64]
    assert np.array_equal(decode_counts(view.rle(second)["counts"], view.size), RIGHT)


def test_view_without_tracks_is_empty_and_has_labels() -> None:
    """So that code without a special case works."""
    view = mask_view(mask_parts(masks=[]))
    assert not view.target_present
    assert view.layers == ()
    assert view.labels.shape == view.size == (36, 64)
    assert not view.merged().any()


def test_age_is_known_on_this_machines_clock() -> None:
    """That of the capture, if it is known; else since the picture was received."""
    view = mask_view(mask_parts(received_ns=CLOCK.monotonic_ns() - 3_000_000_000))
    assert view.age_s is not None
    assert view.age_s >= 3.0


def test_age_is_not_known_on_another_machines_clock() -> None:
    """Two clocks of different names say nothing about each other."""
    assert mask_view(mask_parts(clock="monotonic:elsewhere")).age_s is None


def test_view_tells_what_it_is() -> None:
    """In words, and how long each stage took."""
    view = mask_view(mask_parts(7))
    assert repr(view) == "<MaskView of cam0 frame 0.7, 'the sentence p1': 1 tracks>"
    assert view.stages_ms == {"ingest": pytest.approx(1.0)}
    assert (view.frame.seq, view.prompt.id, view.status, view.gap, view.dropped_here) == (7, "p1", "final", 0, 0)


def test_damaged_label_map_is_an_error_when_it_is_asked_for() -> None:
    """And not before: tracks and boxes are readable."""
    parts = mask_parts()
    parts[2] = lz4.block.compress(b"too short", store_size=False) * 40
    view = mask_view(parts)
    assert len(view.tracks) == 1
    with pytest.raises(MessageError, match="label map"):
        _ = view.labels
