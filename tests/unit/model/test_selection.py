"""Which slots are selected, and what becomes of their mask logits."""

import pytest
import torch
from torch.nn import functional as F

from ssa_stream.model import MaskSizes, select_queries
from ssa_stream.model.selection import (
    MaskConfidence,
    SelectionMode,
    mask_confidence,
    mask_logits,
    resize_logits,
    resize_to_output,
)

PROBABILITY = torch.tensor([0.2, 0.7, 0.5, 0.9])


@pytest.mark.parametrize(
    ("mode", "threshold", "expected"),
    [
        ("multi", 0.5, [1, 3]),
        ("multi", 0.95, []),
        ("multi", 0.0, [0, 1, 2, 3]),
        ("single", 0.0, [3]),
        ("single", 0.95, []),
    ],
)
def test_select_queries_modes(mode: SelectionMode, threshold: float, expected: list[int]) -> None:
    """Strictly above the threshold; ascending; the best one alone, or none."""
    assert select_queries(PROBABILITY, mode, threshold).tolist() == expected


def test_mask_logits_are_inner_products() -> None:
    """Each frame's embeddings meet their own frame's features."""
    embeddings, features = torch.randn(2, 3, 4), torch.randn(2, 4, 5, 6)
    torch.testing.assert_close(
        mask_logits(embeddings, features)[1, 2], (embeddings[1, 2] @ features[1].flatten(1)).view(5, 6)
    )


def test_resize_logits_cuts_the_padding_after_resizing() -> None:
    """Logits are blown up to the padded size first, then cut: no part of the picture is stretched."""
    logits = torch.randn(1, 2, 8, 16)
    sizes = MaskSizes(padded=(32, 64), network=(30, 50), output=(60, 100))
    resized = resize_logits(logits, sizes)
    expected = F.interpolate(logits, size=(32, 64), mode="bilinear", align_corners=False)[..., :30, :50]
    assert torch.equal(resized, expected)
    assert resize_to_output(resized, sizes.output).shape == (1, 2, 60, 100)
    assert resize_to_output(resized, (30, 50)) is resized


def test_mask_confidence_adds_up_over_chunks() -> None:
    """A clip's score does not depend on how its frames were grouped."""
    logits = 3 * torch.randn(2, 5, 6, 7)
    whole = mask_confidence(logits)
    parts = [mask_confidence(logits[:, :2]), mask_confidence(logits[:, 2:])]
    summed = MaskConfidence(*(torch.stack(sums).sum(dim=0) for sums in zip(*parts, strict=True)))
    probability = torch.tensor([0.5, 1.0])
    torch.testing.assert_close(summed.score(probability), whole.score(probability))
    sure = logits.sigmoid()
    expected = torch.stack([one[one > 0.5].mean() for one in sure]) * probability
    torch.testing.assert_close(whole.score(probability), expected)


def test_mask_confidence_of_empty_mask_scores_zero() -> None:
    """Nothing above one half: no division by zero."""
    assert mask_confidence(torch.full((1, 4), -1.0)).score(torch.ones(1)).item() == 0.0
