"""Frames whose pixels are not square: the network sees them as displayed, masks are in the frame's own pixels."""

from fractions import Fraction

import numpy as np
import pytest

from ssa_stream.errors import ShapeError
from ssa_stream.streaming import ReferSession, SessionConfig, SessionState
from ssa_stream.streaming.decoding import DecoderState
from tests.unit.streaming.colour_model import ColourModel, draw

BLUE = ("blue", (32, 16, 48, 32))
SQUARE = draw(BLUE, size=(32, 64))
SQUEEZED = SQUARE[:, ::2]
TWO = Fraction(2)


def _session() -> ReferSession:
    return ReferSession(ColourModel(), SessionConfig(window=3, lookahead=1), ["blue"])


def test_push_with_pixel_aspect_equals_the_square_picture_up_to_its_pixels() -> None:
    """Half as many columns: the same network size, score and identity; box and mask in the columns that there are."""
    wide, square = _session(), _session()
    for _ in range(3):
        squeezed = wide.push(SQUEEZED, pixel_aspect=TWO)
        whole = square.push(SQUARE)
    (one,), (other,) = squeezed, whole
    assert one.size == (32, 32)
    assert one.probability == other.probability
    (track,), (full,) = one.tracks, other.tracks
    assert (track.track_id, full.box_xyxy) == (full.track_id, (32, 16, 48, 32))
    assert np.abs(np.subtract(track.box_xyxy, (16, 16, 24, 32))).max() <= 2  # the network sees every fourth pixel
    assert track.mask.shape == (32, 32)


def test_push_with_another_pixel_aspect_needs_a_reset() -> None:
    """As with another size; the refused frame leaves the session as it was."""
    session = _session()
    session.push(SQUEEZED, pixel_aspect=TWO)
    with pytest.raises(ShapeError, match=r"aspect 1 .* began with 2 .*reset"):
        session.push(SQUEEZED)
    session.push(SQUEEZED, pixel_aspect=TWO)
    session.reset()
    session.push(SQUEEZED)


@pytest.mark.parametrize("aspect", [Fraction(0), Fraction(-2)], ids=str)
def test_push_with_no_pixel_aspect_is_refused(aspect: Fraction) -> None:
    """Nothing above 0."""
    with pytest.raises(ShapeError, match="pixel_aspect is"):
        _session().push(SQUARE, pixel_aspect=aspect)


def test_pixel_aspect_is_kept_in_saved_states() -> None:
    """Of a session and of a decoder; a state that was saved before there was any has square pixels."""
    session = _session()
    session.push(SQUEEZED, pixel_aspect=Fraction(64, 45))
    state = session.state()
    assert SessionState.from_bytes(state.to_bytes()).decoder.timeline.pixel_aspect == Fraction(64, 45)
    assert DecoderState.from_bytes(state.decoder.to_bytes()).timeline.pixel_aspect == Fraction(64, 45)
