"""The A2D protocol: P@K, overall and mean IoU, mAP, counted by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.mask import encode

from ssa_stream.errors import ConfigError, ShapeError
from ssa_stream.metrics import Masks, SingleObjectScorer
from ssa_stream.metrics.average_precision import ScoredObject, TrueObject, average_precision
from ssa_stream.metrics.single_object import box_overlap, overlap_figures
from tests.unit.metrics.counted_slowly import SlowSample, average_precision_slowly, precision_slowly
from tests.unit.metrics.drawing import rectangle

Corners = tuple[float, float, float, float]

SIZE = (20, 20)
TARGET = rectangle(*SIZE, 0, 0, 10, 10)  # 100 pixels
HALF = rectangle(*SIZE, 0, 0, 5, 10)  # IoU 0.5
SIX = rectangle(*SIZE, 0, 0, 6, 10)  # IoU 0.6
NINE = rectangle(*SIZE, 0, 0, 9, 10)  # IoU 0.9
FAR = rectangle(*SIZE, 15, 15, 20, 20)
NOTHING = np.zeros(SIZE, np.bool_)


def _scorer(*samples: tuple[Masks, list[Masks], list[float]]) -> SingleObjectScorer:
    scorer = SingleObjectScorer()
    for target, masks, scores in samples:
        scorer.add(target, np.array(masks, np.bool_).reshape(-1, *SIZE), np.array(scores, np.float32))
    return scorer


def test_perfect_masks_score_one_in_everything() -> None:
    """Whatever else is entered with a lower score."""
    figures = _scorer((TARGET, [TARGET, FAR], [0.9, 0.1]), (FAR, [FAR], [0.4])).figures()
    assert figures.samples == 2
    assert figures.precision == (1, 1, 1, 1, 1)
    assert (figures.overall_iou, figures.mean_iou, figures.mean_ap_top1) == (1, 1, 1)
    assert figures.mean_ap == pytest.approx(1)


def test_precision_is_strict() -> None:
    """An IoU of exactly 0.5 is not above 0.5; COCO's average precision counts it."""
    figures = _scorer((TARGET, [HALF], [0.9])).figures()
    assert figures.precision == (0, 0, 0, 0, 0)
    assert figures.mean_ap == pytest.approx(1 / 10)


def test_precision_of_several_samples() -> None:
    """IoU 0.6 is above 0.5 and, in float32, above 0.6; 0.9 is above all but the last."""
    figures = _scorer((TARGET, [SIX], [0.5]), (TARGET, [NINE], [0.5]), (TARGET, [FAR], [0.5])).figures()
    assert figures.precision == pytest.approx((2 / 3, 2 / 3, 1 / 3, 1 / 3, 0))
    assert figures.mean_iou == pytest.approx((0.6 + 0.9) / 3)
    assert figures.overall_iou == pytest.approx((60 + 90) / (100 + 100 + 125))


def test_best_scored_mask_decides_not_the_best_mask() -> None:
    """A perfect mask with a low score helps the average precision only."""
    figures = _scorer((TARGET, [TARGET, FAR], [0.3, 0.8])).figures()
    assert figures.mean_iou == pytest.approx(0, abs=1e-7)
    assert figures.mean_ap == pytest.approx(0.5)  # found as the second of two
    assert figures.mean_ap_top1 == 0


def test_equal_scores_last_mask_is_the_best_but_for_the_average_precision() -> None:
    """As in the published scorers: one sorts and takes the last, the other keeps the order."""
    figures = _scorer((TARGET, [FAR, TARGET], [0.5, 0.5])).figures()
    assert (figures.mean_iou, figures.mean_ap_top1) == pytest.approx((1, 1))
    assert figures.mean_ap == pytest.approx(0.5)


def test_average_precision_ranks_over_all_samples() -> None:
    """Ranked by score: a hit, a miss, a hit. Precision is 1 up to recall 1/2, then 2/3: 51 and 50 of 101 points."""
    figures = _scorer((TARGET, [TARGET, FAR], [0.9, 0.8]), (TARGET, [TARGET], [0.7])).figures()
    assert figures.mean_ap == pytest.approx((51 + 50 * 2 / 3) / 101)
    assert figures.mean_ap_top1 == pytest.approx(1)


def test_sample_without_masks_is_a_miss() -> None:
    """Nothing found: empty against the target."""
    figures = _scorer((TARGET, [], []), (TARGET, [TARGET], [0.5])).figures()
    assert figures.precision == (0.5,) * 5
    assert figures.overall_iou == 0.5
    assert figures.mean_ap == pytest.approx(51 / 101)
    alone = _scorer((TARGET, [], [])).figures()
    assert (alone.mean_ap, alone.overall_iou) == (0, 0)
    assert alone.mean_iou == pytest.approx(0, abs=1e-7)


def test_empty_mask_for_empty_target_is_right() -> None:
    """Both empty is an IoU of 1."""
    assert _scorer((NOTHING, [NOTHING], [0.5])).figures().mean_iou == 1


def test_scorer_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """It is called from training."""
    _scorer((TARGET, [SIX], [0.5])).figures()
    assert capsys.readouterr().out == ""


def test_scorer_wrong_use_is_refused() -> None:
    """No samples, or arrays that do not fit."""
    scorer = SingleObjectScorer()
    with pytest.raises(ConfigError, match="no samples"):
        scorer.figures()
    with pytest.raises(ShapeError):
        scorer.add(TARGET, TARGET[None], np.zeros(2))
    with pytest.raises(ShapeError):
        scorer.add(TARGET[None], TARGET[None], np.zeros(1))
    assert len(scorer) == 0


def test_more_than_a_hundred_masks_only_the_best_hundred_count() -> None:
    """The right one comes last: it is seen as the hundredth, not as the one after."""
    for wrong, found in ((99, 1 / 100), (100, 0.0)):
        figures = _scorer((TARGET, [FAR] * wrong + [TARGET], [0.9] * wrong + [0.5])).figures()
        assert figures.mean_ap == pytest.approx(found)


def test_equal_scores_of_several_samples_names_decide_as_text() -> None:
    """`f_10` is before `f_7`: the hit comes first, whatever the order of the samples."""
    scorer = SingleObjectScorer()
    scorer.add(TARGET, FAR[None], np.array([0.5]), "f_7")
    scorer.add(TARGET, TARGET[None], np.array([0.5]), "f_10")
    assert scorer.figures().mean_ap == pytest.approx(51 / 101)


def test_average_precision_by_size_is_missing_where_no_object_is_of_it() -> None:
    """Small is up to 32^2 pixels, medium up to 96^2, and both limits belong to both sides."""
    large = np.zeros((200, 200), np.bool_)
    large[:96, :96] = True
    scorer = SingleObjectScorer()
    scorer.add(large, large[None], np.array([0.5]))
    figures = scorer.figures()
    assert figures.ap_small is None
    assert (figures.ap_medium, figures.ap_large) == pytest.approx((1, 1))


def test_crowd_is_not_asked_for_and_answers_of_other_categories_are_left_out() -> None:
    """As COCO has them."""
    rle = encode(np.asfortranarray(TARGET[:, :, None], np.uint8))[0]
    objects = [TrueObject("a", rle), TrueObject("b", rle, is_crowd=True)]
    own = ScoredObject("a", rle, 0.5, category=18)
    assert average_precision(objects, [own], by_size=False).mean == 0
    assert average_precision(objects, [own], by_size=False, categories=(1, 18)).mean == pytest.approx(1)


@st.composite
def slow_samples(draw: st.DrawFn) -> list[SlowSample]:
    """A few samples of small masks, with few different scores, so that many are equal; some masks are empty."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    samples = []
    for number in range(draw(st.integers(1, 4))):
        target = rectangle(40, 40, 0, 0, *map(int, rng.integers(0, 40, 2)))
        count = draw(st.integers(1, 5))
        masks = [
            target if rng.random() < 0.3 else rectangle(40, 40, 0, 0, *map(int, rng.integers(0, 40, 2)))
            for _ in range(count)
        ]
        samples.append(SlowSample(f"f_{7 + number}", target, masks, rng.integers(0, 3, count).astype(float).tolist()))
    return samples


@given(slow_samples())
@settings(max_examples=40, deadline=None)
def test_figures_are_those_of_a_second_count(samples: list[SlowSample]) -> None:
    """Pixel by pixel, with ties, empty masks and objects of two sizes."""
    scorer = SingleObjectScorer()
    for sample in samples:
        scorer.add(sample.target, np.stack(sample.masks), np.array(sample.scores), sample.name)
    figures = scorer.figures()
    precision, mean_iou = precision_slowly(samples)
    assert [*figures.precision, figures.mean_iou] == pytest.approx([*precision, mean_iou])
    assert figures.mean_ap == pytest.approx(average_precision_slowly(samples))
    assert figures.ap_small == pytest.approx(average_precision_slowly(samples, 0, 32**2))
    assert figures.ap_medium == pytest.approx(average_precision_slowly(samples, 32**2, 96**2))


CORNER = st.floats(0, 640, width=32)


@settings(deadline=None)
@given(st.tuples(*[CORNER] * 4), st.tuples(*[CORNER] * 4))
def test_overlap_of_boxes_is_that_of_the_definition_in_float32(one: Corners, two: Corners) -> None:
    """Common area over the area of either, number by number; boxes that only touch have nothing in common."""
    one, two = _ordered(one), _ordered(two)
    zero, f = np.float32(0), np.float32
    width = f(min(one[2], two[2])) - f(max(one[0], two[0]))
    height = f(min(one[3], two[3])) - f(max(one[1], two[1]))
    common = width * height if width > 0 and height > 0 else zero
    first, second = ((f(box[2]) - f(box[0])) * (f(box[3]) - f(box[1])) for box in (one, two))
    union = first + second - common
    found = box_overlap(one, two)
    assert (found.intersection, found.union) == (float(common), float(union))
    assert found.iou == pytest.approx(float((common + f(1e-6)) / (union + f(1e-6))), rel=1e-6)
    assert box_overlap(two, one).iou == pytest.approx(found.iou, rel=1e-6)


def test_precision_of_boxes_is_counted_by_hand() -> None:
    """A box of half the area has an IoU of one half, which is not above 0.5."""
    target = (0.0, 0.0, 10.0, 10.0)
    answers = [(0.0, 0.0, 5.0, 10.0), (0.0, 0.0, 9.5, 10.0), (20.0, 20.0, 30.0, 30.0)]
    figures = overlap_figures([box_overlap(answer, target) for answer in answers])
    assert figures.precision == pytest.approx((1 / 3,) * 5)
    assert figures.overall_iou == pytest.approx((50 + 95) / (100 + 100 + 200))
    assert figures.mean_iou == pytest.approx((0.5 + 0.95) / 3, abs=1e-7)


def _ordered(box: Corners) -> Corners:
    left, right = sorted((box[0], box[2]))
    top, bottom = sorted((box[1], box[3]))
    return left, top, right, bottom
