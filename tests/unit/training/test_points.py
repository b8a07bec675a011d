"""Points at which masks are compared."""

import numpy as np
import torch

from ssa_stream.training.objectives.points import random_points, sample_at, uncertain_points


def test_sample_at_pixel_centres_gives_the_pixels() -> None:
    """(0, 0) is the picture's corner: the first pixel's centre lies half a pixel from it."""
    maps = torch.arange(12.0).view(1, 1, 3, 4)
    centres = torch.tensor([[[(x + 0.5) / 4, (y + 0.5) / 3] for y in range(3) for x in range(4)]])
    torch.testing.assert_close(sample_at(maps, centres)[0, 0], torch.arange(12.0))


def test_sample_at_is_bilinear_with_zeros_outside() -> None:
    """Between four pixels their mean; at the corner a quarter of the pixel."""
    maps = torch.tensor([[[[1.0, 2.0], [3.0, 6.0]]]])
    values = sample_at(maps, torch.tensor([[[0.5, 0.5], [0.0, 0.0], [0.5, 0.25]]]))[0, 0]
    np.testing.assert_allclose(values.numpy(), [3.0, 0.25, 1.5], atol=1e-6)


def test_random_points_repeat_with_the_seed_and_stay_inside() -> None:
    """A step's seed decides its points."""
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(random_points(3, 5, torch.device("cpu")))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert drawn[0].min() >= 0
    assert drawn[0].max() < 1


def test_uncertain_points_lie_where_logits_are_small() -> None:
    """Three quarters come from the undecided left half, the rest from anywhere."""
    logits = torch.full((2, 8, 8), 5.0)
    logits[..., :4] = 0.1
    torch.manual_seed(0)
    points = uncertain_points(logits, 400, 3.0, 0.75)
    assert points.shape == (2, 400, 2)
    assert (points[:, :300, 0] < 0.57).all()
    assert 0.3 < (points[:, 300:, 0] < 0.5).float().mean() < 0.7
