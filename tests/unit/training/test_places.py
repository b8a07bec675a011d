"""Where objects are: centres and extents by hand, and what counts in the loss."""

import pytest
import torch

from ssa_stream.training.places import PlaceHead, place_loss, places


def test_place_of_a_rectangle_is_its_centre_and_the_root_of_its_part() -> None:
    """Rows 0 to 3 of 8 and columns 6 to 7 of 8 are an eighth of the picture."""
    mask = torch.zeros(8, 8, dtype=torch.uint8)
    mask[:4, 6:] = 1
    torch.testing.assert_close(places(mask), torch.tensor([-0.5, 0.75, (8 / 64) ** 0.5]))


def test_whole_picture_is_centred_and_an_empty_mask_is_zero() -> None:
    """Neither divides by nothing."""
    both = torch.stack([torch.ones(4, 6), torch.zeros(4, 6)]).to(torch.uint8)
    torch.testing.assert_close(places(both), torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]), atol=1e-6, rtol=0)


def test_large_masks_do_not_overflow() -> None:
    """Sums of uint8 are not uint8."""
    mask = torch.ones(600, 600, dtype=torch.uint8)
    torch.testing.assert_close(places(mask), torch.tensor([0.0, 0.0, 1.0]), atol=1e-4, rtol=0)


def test_only_matched_queries_count() -> None:
    """The new head says the centre of the picture, and no extent."""
    masks = torch.zeros(1, 2, 1, 8, 8, dtype=torch.uint8)  # an item of two objects and one frame
    masks[0, 0, 0, :4, 6:] = 1
    masks[0, 1, 0, 7, 7] = 1
    matched = torch.tensor([True, False]).view(1, 1, 1, 2)
    head = PlaceHead(16)
    loss = place_loss(head, torch.randn(1, 1, 1, 2, 16), matched, masks)
    assert float(loss.detach()) == pytest.approx(0.5 + 0.75 + (8 / 64) ** 0.5)
    assert not place_loss(head, torch.randn(1, 1, 1, 2, 16), torch.zeros_like(matched), masks)


def test_head_reads_what_its_weights_say() -> None:
    """Right places have no loss."""
    masks = torch.zeros(1, 1, 1, 8, 8, dtype=torch.uint8)
    masks[0, 0, 0, :4, 6:] = 1
    head = PlaceHead(3)
    torch.nn.init.eye_(head.weight)
    queries = places(masks)[None]  # (L, I, G, T, 3); G and T are 1
    assert not place_loss(head, queries, torch.ones(1, 1, 1, 1, dtype=torch.bool), masks)
