"""The DAVIS toolkit's statistics and matching, on answers small enough to be reckoned by hand."""

import math

import numpy as np
import pytest

from ssa_stream.metrics.davis import DavisRow, DavisTruthFrame, davis_figures, davis_statistics, match_davis_objects


def test_recall_is_strictly_above_a_half() -> None:
    """Exactly 0.5 is no hit."""
    assert davis_statistics(np.array([0.5, 0.5, 0.51, 1.0]))[1] == 0.5


@pytest.mark.parametrize(
    ("values", "decay"),
    [
        ([1.0], 0.0),
        ([1.0, 0.5], 0.5),  # frames 1 and 2 of the first quarter, the last of the last
        ([0.9, 0.7, 0.5, 0.3, 0.1], 0.6),  # (0.9 + 0.7) / 2 - (0.3 + 0.1) / 2
    ],
)
def test_decay_is_the_first_quarter_less_the_last(values: list[float], decay: float) -> None:
    """Quarters share the frames between them."""
    assert davis_statistics(np.array(values))[2] == pytest.approx(decay)


def test_decay_of_more_than_255_frames_wraps_as_in_the_toolkit() -> None:
    """Its frame numbers are bytes; the right ones are taken on request."""
    values = np.linspace(1, 0, 300)
    assert math.isnan(davis_statistics(values)[2])
    assert davis_statistics(values, wraps=False)[2] == pytest.approx(0.75, abs=0.01)
    row = DavisRow(values, values)
    assert davis_figures([row]).j_decay is None
    assert davis_figures([row]).j_mean == pytest.approx(0.5)


def test_void_is_in_no_mask() -> None:
    """Pixels of 255 in the truth are counted neither for nor against."""
    truth = np.zeros((20, 30), np.uint8)
    truth[5:10, 5:10] = 1
    truth[5:10, 10:15] = 255
    answer = np.zeros_like(truth)
    answer[5:10, 5:15] = 1
    scores = DavisTruthFrame(truth, [1]).score(answer)
    assert scores[:, 0, 0].tolist() == [1.0, 1.0]


def test_object_that_the_answer_lacks_is_empty() -> None:
    """Right where the truth is empty as well."""
    truth = np.zeros((20, 30), np.uint8)
    truth[5:10, 5:10] = 1
    scores = DavisTruthFrame(truth, [1, 2]).score(np.zeros_like(truth))
    assert scores[:, 0].tolist() == [[0.0, 1.0], [0.0, 1.0]]


def test_matching_is_by_the_sum_of_all_objects_and_keeps_the_answers_order() -> None:
    """The best single pair is given up where the sum is higher without it."""
    j = np.array([[0.6, 0.5], [0.5, 0.0]])[..., None]  # answers x truths x frames
    rows = match_davis_objects(np.stack([j, j]))
    assert [row.j.tolist() for row in rows] == [[0.5], [0.5]]
    assert match_davis_objects(np.zeros((2, 0, 0, 3))) == []
