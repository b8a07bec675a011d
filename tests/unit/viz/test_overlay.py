"""What is drawn, where, and in which colour order."""

import numpy as np
import pytest
from numpy.typing import NDArray

from ssa_stream.errors import ShapeError
from ssa_stream.streaming.results import MaskResult, TrackMask
from ssa_stream.viz import draw_overlay, prompt_colours, track_colour

SIZE = (120, 200)


def _track(track_id: int, top: int, left: int, height: int = 30, width: int = 40) -> TrackMask:
    mask = np.zeros(SIZE, dtype=np.bool_)
    mask[top : top + height, left : left + width] = True
    return TrackMask(track_id, 0.9, 0.95, (left, top, left + width, top + height), height * width, mask)


def _result(*tracks: TrackMask, prompt: str = "a thing", prompt_id: str = "p1") -> MaskResult:
    return MaskResult(prompt_id, prompt, 1, 0, 0.0, SIZE, tracks, 0.9)


def _grey() -> NDArray[np.uint8]:
    return np.full((*SIZE, 3), 100, dtype=np.uint8)


def test_mask_is_tinted_in_rgb_and_the_rest_is_left_alone() -> None:
    """The centre of the mask moves towards the track's colour, channel by channel; the input stays."""
    image = _grey()
    drawn = draw_overlay(image, [_result(_track(1, 60, 80))], opacity=0.5)
    expected = [round(0.5 * 100 + 0.5 * channel) for channel in track_colour(1)]
    assert drawn[80, 100].tolist() == pytest.approx(expected, abs=1)
    assert track_colour(1)[0] != track_colour(1)[2]
    np.testing.assert_array_equal(drawn[100:, :60], image[100:, :60])
    np.testing.assert_array_equal(image, _grey())
    assert drawn.shape == image.shape
    assert drawn.flags.c_contiguous


def test_box_corner_and_strip_have_the_colour_of_the_prompt() -> None:
    """Two prompts can be told apart in the picture and in the strip."""
    results = [
        _result(_track(1, 60, 20), prompt_id="first"),
        _result(_track(2, 60, 120), prompt_id="second"),
    ]
    drawn = draw_overlay(_grey(), results)
    for row, (prompt_id, corner) in enumerate([("first", (60, 20)), ("second", (60, 120))]):
        colour = list(prompt_colours(["first", "second"])[prompt_id])
        around = drawn[corner[0] - 2 : corner[0] + 3, corner[1] - 2 : corner[1] + 3].reshape(-1, 3).tolist()
        assert colour in around or colour in drawn[88:94, corner[1] - 2 : corner[1] + 3].reshape(-1, 3).tolist()
        assert drawn[13 * row + 6, 6].tolist() == colour


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
