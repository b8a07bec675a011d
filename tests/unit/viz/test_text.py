"""The strip at the top of a picture."""

import numpy as np
import pytest
from numpy.typing import NDArray

from ssa_stream.viz.colours import PALETTE
from ssa_stream.viz.text import draw_strip, line_height_px, strip_rows, text_scale

SIZES = [(48, 64), (120, 200), (360, 640), (720, 1280), (16, 400), (8, 8), (1, 1)]


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_strip_of_many_prompts_covers_a_quarter_or_one_line_of_two(size: tuple[int, int]) -> None:
    """However many there are; without room there is none."""
    scale = text_scale(*size)
    covered = strip_rows(64, size[0], scale) * line_height_px(scale)
    assert covered <= max(0.25 * size[0], line_height_px(scale) if size[0] >= 2 * line_height_px(scale) else 0)
    assert strip_rows(1, 360, scale) == 1


def _strip(texts: list[str], rows: int, width: int = 300) -> NDArray[np.uint8]:
    picture = np.full((100, width, 3), 150, dtype=np.uint8)
    draw_strip(picture, [(PALETTE[0], text) for text in texts], rows=rows, scale=0.4)
    return picture


def test_last_line_tells_how_many_more_there_are() -> None:
    """At its right end, and as a different number for different counts; the text before it is cut, not covered."""
    pitch, texts = line_height_px(0.4), ["one", "the two " * 20]
    all_of_them, and_more, and_others = (_strip(texts + ["x"] * more, 2) for more in (0, 2, 3))
    assert (and_more[:pitch] == all_of_them[:pitch]).all()
    assert (and_more[pitch : 2 * pitch, 240:] != and_others[pitch : 2 * pitch, 240:]).any()
    assert (and_more[pitch : 2 * pitch, :200] == and_others[pitch : 2 * pitch, :200]).all()
    assert (and_more[2 * pitch :] == 150).all()


def test_texts_of_any_script_and_width_are_drawn() -> None:
    """Control characters, long lines, pictures that are narrower than a letter."""
    for width in (1, 9, 40, 300):
        assert _strip(["das große 红色 \x07 " * 9, "кот"], 2, width).max() >= 150
