"""Moments of masks, and frame queries that are told them."""

import math

import pytest
import torch
from torch import Tensor

from ssa_stream.model import SSA, to_input
from ssa_stream.model.extensions.mask_moments import NUM_MOMENTS, MaskMoments, mask_moments
from tests.support.tiny_model import random_frames, tiny_model, told_model

SIZE = (24, 40)


def moments(rows: slice, columns: slice) -> list[float]:
    """Of a box's mask: visibility, row, column, size, taller, tilt, spread."""
    logits = torch.full((1, 1, *SIZE), -12.0)
    logits[..., rows, columns] = 12.0
    measured: list[float] = mask_moments(logits)[0, 0].tolist()
    return measured


def test_a_box_is_where_it_is() -> None:
    """Centres run from -1 to 1 over the picture's edges; the size is the root of the covered part."""
    visibility, row, column, size, taller, tilt, *_ = moments(slice(6, 12), slice(30, 40))
    assert visibility == pytest.approx(60 / 62, rel=1e-3)
    assert row == pytest.approx(9 / 12 - 1, abs=1e-3)
    assert column == pytest.approx(35 / 20 - 1, abs=1e-3)
    assert size == pytest.approx(0.5 * torch.tensor(60 / 960).log().item() + 2.5, abs=1e-3)
    assert taller < -0.1
    assert tilt == pytest.approx(0, abs=1e-3)


def test_moments_are_exact_in_mixed_precision() -> None:
    """Half a cell in a hundred would be lost in sums of eight bits."""
    logits = 4 * torch.randn(2, 3, 32, 56)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = mask_moments(logits)
    assert mixed.dtype == torch.float32
    assert torch.equal(mixed, mask_moments(logits))


def test_moments_change_as_objects_do() -> None:
    """A cell further is as much further in the moments; growth and turning show where they should."""
    first, moved, grown, upright = (
        moments(*box)
        for box in (
            (slice(6, 12), slice(10, 20)),
            (slice(7, 13), slice(12, 22)),
            (slice(3, 15), slice(5, 25)),
            (slice(4, 14), slice(12, 18)),
        )
    )
    assert moved[1] - first[1] == pytest.approx(2 / 24, abs=1e-4)
    assert moved[2] - first[2] == pytest.approx(4 / 40, abs=1e-4)
    assert moved[3:] == pytest.approx(first[3:], abs=2e-3)
    assert grown[3] - first[3] == pytest.approx(torch.tensor(2.0).log().item(), abs=1e-3)
    assert grown[1:3] == pytest.approx(first[1:3], abs=1e-3)
    assert upright[4] > 0 > first[4]
    assert upright[4] == pytest.approx(-first[4], abs=1e-2)


def test_tilt_has_its_sign() -> None:
    """Down to the right is positive, its mirror image negative."""
    logits = torch.full((1, 2, *SIZE), -12.0)
    for i in range(10):
        logits[0, 0, 5 + i, 8 + i : 11 + i] = 12.0
        logits[0, 1, 5 + i, 25 - i : 28 - i] = 12.0
    down, up = mask_moments(logits)[0, :, 5].tolist()
    assert down > 0.1
    assert down == pytest.approx(-up, abs=1e-3)


def _blob(angle: float, fold: int) -> Tensor:
    """Logits of a shape with so many arms, turned by an angle (radians, clockwise), 20 cells wide."""
    y, x = torch.meshgrid(torch.arange(24.0) - 12.2, torch.arange(40.0) - 19.7, indexing="ij")
    radius = 7.0 * (1 + 0.35 * torch.cos(fold * (torch.atan2(y, x) - angle)))
    return (4 * (radius - torch.hypot(x, y)))[None, None]


@pytest.mark.parametrize(("fold", "first"), [(3, 9), (4, 11), (5, 13)])
def test_turning_turns_the_moment_of_the_shapes_own_order(fold: int, first: int) -> None:
    """By as many times the angle as the shape has arms; the others are small."""
    phases = []
    for angle in (0.0, 0.1, 0.2):
        measured = mask_moments(_blob(angle, fold))[0, 0]
        cosine, sine = measured[first : first + 2].tolist()
        size = math.hypot(cosine, sine)
        assert size > 0.3
        others = measured[7:].view(4, 2).norm(dim=1)
        assert others.argmax() == (first - 7) // 2
        phases.append(math.atan2(sine, cosine))
    assert phases == pytest.approx([0.0, 0.1 * fold, 0.2 * fold], abs=0.05)


@pytest.mark.parametrize(("flips", "side"), [((), 1), ((3,), -1)])
def test_lopsided_masks_say_which_way(flips: tuple[int, ...], side: int) -> None:
    """The long thin end is where the third moment points, whichever side that is."""
    logits = torch.full((1, 1, *SIZE), -12.0)
    logits[..., 9:15, 10:13] = 12.0
    logits[..., 11:13, 13:23] = 12.0
    cosine, sine = mask_moments(logits.flip(flips))[0, 0, 7:9].tolist()
    assert side * cosine > 0.1
    assert abs(sine) < 0.05


def test_faint_background_does_not_pull_the_centre() -> None:
    """Masks are never sure: two per cent everywhere move a small one's centre by less than a quarter of a cell."""
    logits = torch.full((1, 1, *SIZE), -4.0)
    logits[..., 2:6, 2:6] = 4.0
    clean = moments(slice(2, 6), slice(2, 6))
    assert mask_moments(logits)[0, 0, 1:3].tolist() == pytest.approx(clean[1:3], abs=0.25 * 2 / 24)


@pytest.mark.parametrize("logit", [-60.0, -8.0])
def test_an_empty_mask_is_nowhere(logit: float) -> None:
    """No place is made up for it, and nothing is told to its query."""
    measured = mask_moments(torch.full((2, 3, *SIZE), logit))
    assert (measured[..., 0] < 0.01).all()
    assert not measured[..., 1:].any()
    module = MaskMoments(8)
    torch.nn.init.normal_(module.embed.weight)
    queries = torch.randn(2, 3, 8)
    torch.testing.assert_close(module.add(queries, measured), queries, atol=0.05, rtol=0)


def test_places_can_be_read_from_the_code() -> None:
    """Boxes a cell apart are told apart by a linear reading to a tenth of a cell."""
    boxes = [moments(slice(row, row + 5), slice(column, column + 5)) for row in range(19) for column in range(35)]
    module = MaskMoments(64)
    torch.nn.init.normal_(module.embed.weight, std=0.3)
    measured = torch.tensor(boxes)
    code = module.add(torch.zeros(len(boxes), 64), measured)
    known = torch.linalg.lstsq(code.double(), measured[:, 1:3].double(), driver="gelsd").solution
    assert (code.double() @ known - measured[:, 1:3]).abs().max() < 0.1 * 2 / 40


def outputs(model: SSA) -> tuple[Tensor, ...]:
    """Frame queries, fused sentences and mask features of three frames."""
    images, text = to_input(random_frames(3)), model.encode_text(["a dog"])
    rows = text.take(torch.zeros(3, dtype=torch.int64))
    made = model.generate_queries(model.encode_frame(images, rows), rows)
    return made.queries, made.text, made.mask_features


@torch.inference_mode()
def test_network_is_the_same_until_it_is_trained() -> None:
    """Weights of a network that is not told go on as they were."""
    for ours, theirs in zip(outputs(told_model()), outputs(tiny_model()), strict=True):
        assert torch.equal(ours, theirs)


@torch.inference_mode()
def test_only_frame_queries_are_told_model() -> None:
    """What the video decoder gets differs; sentence and mask features do not."""
    ours, theirs = outputs(told_model(weight_std=1.0)), outputs(tiny_model())
    assert (ours[0] - theirs[0]).abs().max() > 0.01
    assert torch.equal(ours[1], theirs[1])
    assert torch.equal(ours[2], theirs[2])


@torch.inference_mode()
def test_network_that_is_not_told_measures_nothing() -> None:
    """Its moments have no columns, so that whoever keeps them needs no second way."""
    model, images = tiny_model(), to_input(random_frames(2))
    text = model.encode_text(["a dog"])
    rows = text.take(torch.zeros(2, dtype=torch.int64))
    features = model.pixel_decoder(model.encode_frame(images, rows), model.sentence_resizer(rows.sentence))
    last = model.frame_decoder(features)[-1]
    assert model.mask_moments.measure(last, features.mask_features).shape == (2, 6, 0)
    assert told_model().mask_moments.measure(last, features.mask_features).shape == (2, 6, NUM_MOMENTS)
    assert model.mask_moments(last, features.mask_features) is last.queries
