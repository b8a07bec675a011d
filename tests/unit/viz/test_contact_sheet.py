"""Sheets of pictures."""

import numpy as np
import pytest

from ssa_stream.errors import ConfigError, ShapeError
from ssa_stream.viz import contact_sheet

RED = np.full((30, 60, 3), (200, 10, 20), dtype=np.uint8)


def test_pictures_are_laid_out_in_rgb() -> None:
    """Three pictures in two columns; the free cell is paper."""
    sheet = contact_sheet([RED] * 3, columns=2, cell_width_px=60, margin_px=4)
    assert sheet.shape == (2 * 30 + 3 * 4, 2 * 60 + 3 * 4, 3)
    assert sheet[10, 10].tolist() == sheet[10, 80].tolist() == sheet[50, 10].tolist() == [200, 10, 20]
    assert sheet[50, 80].tolist() == [24, 24, 24]


def test_captions_stand_above_the_pictures() -> None:
    """They hide nothing."""
    sheet = contact_sheet([RED], ["frame 7"], cell_width_px=60, margin_px=0)
    band = sheet.shape[0] - 30
    assert band > 8
    np.testing.assert_array_equal(sheet[band:], RED)
    assert sheet[:band].max() > 100


def test_mixed_sizes_share_a_width() -> None:
    """Each keeps its shape."""
    tall = np.zeros((200, 50, 3), dtype=np.uint8)
    assert contact_sheet([RED, tall], columns=2, cell_width_px=100, margin_px=0).shape == (400, 200, 3)


def test_wrong_input_is_refused() -> None:
    """Nothing, grey pictures, captions that do not match."""
    with pytest.raises(ConfigError, match="at least one"):
        contact_sheet([])
    with pytest.raises(ConfigError, match="2 captions for 1 pictures"):
        contact_sheet([RED], ["a", "b"])
    with pytest.raises(ShapeError, match="RGB"):
        contact_sheet([RED[..., 0]])
