"""Which way masks are turned: moments of drawn shapes, and what counts in the loss."""

import math

import pytest
import torch

from ssa_stream.training.objectives.matching import Matches
from ssa_stream.training.tiny.locations import NUM_FIGURES, OutlineHead, outlines

SIDE = 160


def _polygon(corners: int, angle: float, radius: float = 40.0) -> torch.Tensor:
    """A regular one, `(H, W)` uint8, one corner at an angle from the right, turned downwards."""
    y, x = torch.meshgrid(*[torch.arange(SIDE) + 0.5 - SIDE / 2] * 2, indexing="ij")
    sector = 2 * math.pi / corners
    around = (torch.atan2(y, x) - angle) % sector - sector / 2
    return (torch.hypot(x, y) * around.cos() < radius * math.cos(sector / 2)).to(torch.uint8)


@pytest.mark.parametrize(("corners", "place"), [(3, 2), (4, 4), (5, 6)])
def test_moments_turn_with_their_shape(corners: int, place: int) -> None:
    """The one of its own order points to a corner; the others of a regular shape are nil."""
    for angle in (0.0, 0.3, 0.7):
        figures = outlines(_polygon(corners, angle))
        assert figures.shape == (NUM_FIGURES,)
        real, imaginary = figures[place : place + 2].tolist()
        assert math.hypot(real, imaginary) > 0.05
        turned = (math.atan2(imaginary, real) - corners * angle) % (2 * math.pi)
        assert min(turned, 2 * math.pi - turned) < 0.15
        others = [value for index, value in enumerate(figures[:8].tolist()) if index not in (place, place + 1)]
        assert max(map(abs, others)) < 0.03


def test_a_circle_has_no_direction_and_its_size_doubles_with_its_radius() -> None:
    """Binary logarithm of the extent."""
    small, large = (outlines(_polygon(400, 0.0, radius)) for radius in (20.0, 40.0))
    assert small[:8].abs().max() < 0.02
    assert float(large[8] - small[8]) == pytest.approx(1, abs=0.02)


def test_an_empty_mask_has_no_figures_and_a_sliver_none_beyond_one() -> None:
    """Neither divides by nothing."""
    masks = torch.zeros(2, 16, 200, dtype=torch.uint8)
    masks[1, 8] = 1
    empty, sliver = outlines(masks)
    assert not empty.any()
    assert sliver[:8].abs().max() == 1
    assert sliver.isfinite().all()


def test_only_matched_queries_count() -> None:
    """The head that reads what there is has no loss."""
    masks = torch.stack([_polygon(3, 0.2), _polygon(4, 0.5)])[None, :, None]  # an item of two objects and one frame
    head = OutlineHead(NUM_FIGURES)
    torch.nn.init.eye_(head.outline.weight)
    right = outlines(masks).transpose(1, 2)[None]  # (L, I, T, N, F)
    matches = Matches(torch.tensor([[[[0, 1]]]]), torch.tensor([[[[True, False]]]]))
    assert float(head(right, matches, masks).detach()) == pytest.approx(0, abs=1e-6)
    wrong = right + torch.tensor([0.25, 9.0])[:, None]
    assert float(head(wrong, matches, masks).detach()) == pytest.approx(0.25 * NUM_FIGURES, rel=1e-5)
    assert not head(wrong, Matches(matches.query, torch.zeros_like(matches.matched)), masks)
