"""Masks of one prompt: no pixel is shown twice, none that was claimed is lost, and what shows others' objects goes."""

import itertools

import pytest
import torch
from torch import Tensor

from ssa_stream.streaming.emission import own_masks, owners

_EQUAL = torch.ones(3)


def _logits(*columns: tuple[int, int], value: float = 4.0) -> Tensor:
    logits = torch.full((len(columns), 4, 100), -4.0)
    for k, (start, end) in enumerate(columns):
        logits[k, :, start:end] = value
    return logits


@pytest.mark.parametrize("seed", range(5))
def test_masks_share_out_what_they_claim(seed: int) -> None:
    """Every claimed pixel is in one mask, that of the strongest claim."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(5, 9, 13, generator=generator)
    weight = torch.rand(5, generator=generator) + 0.1
    masks = own_masks(logits, weight)
    assert torch.equal(masks.sum(dim=0), (logits > 0).any(dim=0).long())
    claims = torch.where(logits > 0, weight[:, None, None] * logits.sigmoid(), 0.0)
    assert torch.equal(claims[masks], claims.amax(dim=0).expand(5, -1, -1)[masks])
    assert not (masks & (logits <= 0)).any()


def test_masks_that_do_not_meet_stay_as_they_are() -> None:
    """Also one alone, and none."""
    logits = _logits((0, 50), (50, 60))
    assert torch.equal(own_masks(logits, _EQUAL[:2]), logits > 0)
    assert torch.equal(own_masks(logits[:1], _EQUAL[:1]), logits[:1] > 0)
    assert own_masks(logits[:0], _EQUAL[:0]).shape == (0, 4, 100)


def test_of_equal_masks_the_one_with_more_weight_stays() -> None:
    """Whichever comes first."""
    logits = _logits((0, 50), (0, 50), (60, 90))
    assert owners(logits, torch.tensor([0.6, 0.9, 0.7]), 0.7) == [1, 2]
    assert owners(logits, torch.tensor([0.9, 0.6, 0.7]), 0.7) == [0, 2]
    assert owners(logits, torch.tensor([0.9, 0.6, 0.7]), 0.0) == [0, 1, 2]


def test_a_part_stays_if_it_is_claimed_more_than_the_whole() -> None:
    """A person within a group is its own object, and a piece of an object that another slot has is not."""
    logits = _logits((0, 100), (10, 30))
    assert owners(logits, torch.tensor([0.7, 0.9]), 0.7) == [0, 1]
    assert own_masks(logits, torch.tensor([0.7, 0.9])).sum(dim=(1, 2)).tolist() == [320, 80]
    assert owners(logits, torch.tensor([0.9, 0.7]), 0.7) == [0]


def test_least_share_decides() -> None:
    """A mask that keeps just as much as it must stays."""
    weight = torch.tensor([0.9, 0.8])
    assert owners(_logits((0, 50), (35, 85)), weight, 0.7) == [0, 1]
    assert owners(_logits((0, 50), (34, 84)), weight, 0.7) == [0]


def test_what_a_dropped_mask_had_is_shared_out_anew() -> None:
    """Of a chain of overlaps only the middle goes, if it has the least."""
    for order in itertools.permutations(range(3)):
        chain = _logits(*[((0, 50), (40, 70), (60, 110))[k] for k in order])
        weight = torch.tensor([(0.9, 0.8, 0.9)[k] for k in order])
        assert owners(chain, weight, 0.7) == sorted(order.index(k) for k in (0, 2))


def test_empty_masks_are_dropped() -> None:
    """They show nothing, also when all are empty or there are none."""
    for min_share in (0.0, 0.7):
        assert owners(_logits((0, 0), (3, 9)), _EQUAL[:2], min_share) == [1]
        assert owners(_logits((0, 0)), _EQUAL[:1], min_share) == []
        assert owners(_logits(), _EQUAL[:0], min_share) == []
