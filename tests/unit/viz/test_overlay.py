"""What is drawn, where, and in which colour order."""

import numpy as np
import pytest
from numpy.typing import NDArray

from ssa_stream.errors import ShapeError
from ssa_stream.streaming.results import MaskResult, TrackMask
from ssa_stream.viz import draw_overlay, prompt_colours
from ssa_stream.viz.colours import PALETTE
from ssa_stream.viz.text import PLATE

SIZE = (120, 200)


def _track(track_id: int, top: int, left: int, height: int = 30, width: int = 40) -> TrackMask:
    mask = np.zeros(SIZE, dtype=np.bool_)
    mask[top : top + height, left : left + width] = True
    return TrackMask(track_id, 0.9, 0.95, (left, top, left + width, top + height), height * width, mask)


def _result(*tracks: TrackMask, prompt: str = "a thing", prompt_id: str = "p1") -> MaskResult:
    return MaskResult(prompt_id, prompt, 1, 0, 0.0, SIZE, tracks, 0.9)


def _grey() -> NDArray[np.uint8]:
    return np.full((*SIZE, 3), 100, dtype=np.uint8)


def test_mask_has_the_colour_of_its_prompt_and_the_rest_is_left_alone() -> None:
    """In RGB, under whatever track id; the input stays."""
    image, drawings = _grey(), []
    for track_id in (1, 2):
        drawn = draw_overlay(image, [_result(_track(track_id, 60, 80))])
        assert drawn[60, 100].tolist() == list(PALETTE[0])
        np.testing.assert_array_equal(drawn[100:, :60], image[100:, :60])
        assert drawn.shape == image.shape
        assert drawn.flags.c_contiguous
        drawings.append(drawn[60:90, 80:120])
    np.testing.assert_array_equal(drawings[0], drawings[1])
    np.testing.assert_array_equal(image, _grey())


def test_outline_label_and_strip_have_the_colour_of_the_prompt() -> None:
    """Two prompts can be told apart in all three; other prompts do not matter."""
    results = [
        _result(_track(1, 60, 20), prompt_id="first"),
        _result(_track(2, 60, 120), prompt_id="second"),
    ]
    drawn = draw_overlay(_grey(), results)
    for row, (prompt_id, left) in enumerate([("first", 20), ("second", 120)]):
        colour = list(prompt_colours(["first", "second"])[prompt_id])
        assert drawn[70, left].tolist() == drawn[89, left + 20].tolist() == colour
        assert colour in drawn[60 - 7].tolist()  # the row of the labels
        assert drawn[13 * row + 6, 6].tolist() == colour


def test_label_of_an_object_in_two_pieces_stands_at_the_larger_one() -> None:
    """Not at the corner of the box around both, where another object may be."""
    small, large = _track(1, 15, 10, 8, 8), _track(1, 70, 120)
    both = TrackMask(1, 0.9, 0.95, (10, 15, 160, 100), small.area_px + large.area_px, small.mask | large.mask)
    drawn = draw_overlay(_grey(), [_result(both)], strip=False)
    rows, columns = np.nonzero((drawn == PLATE).all(axis=2))
    assert (rows.max() + 1, columns.min() >= 60, rows.min() > 40) == (70, True, True)


def test_labels_of_a_crowd_under_the_strip_stand_below_it() -> None:
    """Their plates are nowhere in the strip, and some are right below it."""
    drawn = draw_overlay(_grey(), [_result(*(_track(number, 0, 8 * number) for number in range(1, 20)))])
    in_strip = drawn[:13].reshape(-1, 3).tolist()
    assert list(PLATE) not in in_strip
    assert [channel // 3 for channel in PLATE] not in in_strip
    assert drawn[13:60].reshape(-1, 3).tolist().count(list(PLATE)) > 100


def test_prompt_without_target_is_written_in_the_strip_only() -> None:
    """An empty result changes the strip and nothing else; without a strip, nothing."""
    image = _grey()
    drawn = draw_overlay(image, [_result(prompt="a zebra")])
    assert (drawn[:13] != image[:13]).any()
    np.testing.assert_array_equal(drawn[20:], image[20:])
    np.testing.assert_array_equal(draw_overlay(image, [_result()], strip=False), image)


def test_texts_for_target_and_no_target_differ() -> None:
    """What is read in the strip depends on the result."""
    far = _track(1, 80, 80)
    present, absent = (draw_overlay(_grey(), [result])[:13] for result in (_result(far), _result()))
    assert (present != absent).any()


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (16, 400), (400, 16)], ids=str)
def test_any_size_of_picture_and_text_can_be_drawn(size: tuple[int, int]) -> None:
    """Tiny pictures, long and foreign prompts, empty masks."""
    full, empty = np.ones(size, dtype=np.bool_), np.zeros(size, dtype=np.bool_)
    tracks = (
        TrackMask(7, 0.5, 0.5, (0, 0, size[1], size[0]), full.size, full),
        TrackMask(8, 0.5, 0.5, (0, 0, 0, 0), 0, empty),
    )
    results = [MaskResult("p", "das große rote Ding 红色 " * 20, 1, 0, 0.0, size, tracks, 0.5)] * 3
    assert draw_overlay(np.zeros((*size, 3), dtype=np.uint8), results).shape == (*size, 3)


def test_no_results_return_a_copy() -> None:
    """Never the same array."""
    image = _grey()
    drawn = draw_overlay(image, [])
    assert not np.shares_memory(drawn, image)
    np.testing.assert_array_equal(drawn, image)


def test_mask_of_another_size_is_refused() -> None:
    """The message gives both sizes."""
    with pytest.raises(ShapeError, match=r"track 1 is \(120, 200\).*\(50, 60\)"):
        draw_overlay(np.zeros((50, 60, 3), dtype=np.uint8), [_result(_track(1, 0, 0))])


def test_grey_picture_is_refused() -> None:
    """RGB uint8 only."""
    with pytest.raises(ShapeError, match="RGB"):
        draw_overlay(np.zeros((50, 60), dtype=np.uint8), [])
