"""Where objects are: centres and extents by hand, and what counts in the loss."""

import pytest
import torch

from ssa_stream.training.places import PlaceHeads, motion_loss, object_place_loss, place_loss, places, steps


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
    """This head says the centre of the picture, and no extent."""
    masks = torch.zeros(1, 2, 1, 8, 8, dtype=torch.uint8)  # an item of two objects and one frame
    masks[0, 0, 0, :4, 6:] = 1
    masks[0, 1, 0, 7, 7] = 1
    matched = torch.tensor([True, False]).view(1, 1, 1, 2)
    heads = PlaceHeads(16)
    torch.nn.init.zeros_(heads.of_object.weight)
    loss = object_place_loss(heads, torch.randn(1, 1, 1, 2, 16), matched, masks)
    assert float(loss.detach()) == pytest.approx(0.5 + 0.75 + (8 / 64) ** 0.5)
    assert not object_place_loss(heads, torch.randn(1, 1, 1, 2, 16), torch.zeros_like(matched), masks)


def test_head_reads_what_its_weights_say() -> None:
    """Right places have no loss."""
    masks = torch.zeros(1, 1, 1, 8, 8, dtype=torch.uint8)
    masks[0, 0, 0, :4, 6:] = 1
    heads = PlaceHeads(3)
    torch.nn.init.eye_(heads.of_object.weight)
    queries = places(masks)[None]  # (L, I, G, T, 3); G and T are 1
    assert not object_place_loss(heads, queries, torch.ones(1, 1, 1, 1, dtype=torch.bool), masks)


def test_tokens_shall_know_their_own_place() -> None:
    """Memories that hold nothing but the places have no loss with weights that read them, and else they have."""
    heads = PlaceHeads(2)
    y, x = torch.meshgrid(torch.tensor([-0.5, 0.5]), torch.tensor([-0.75, -0.25, 0.25, 0.75]), indexing="ij")
    memory = torch.stack([y, x])[None]
    for level in range(3):
        torch.nn.init.eye_(heads.of_token.get_parameter(f"{level}.weight"))
    nothing = torch.zeros(1, 1, 1, 1, 2), torch.zeros(1, 1, 1, 1, dtype=torch.bool), torch.zeros(1, 1, 1, 8, 16)
    assert not place_loss(heads, [memory] * 3, *nothing)
    assert float(place_loss(heads, [memory, memory, memory.flip(2)], *nothing).detach()) == pytest.approx(1.0)


def test_heads_are_the_same_whatever_chance_came_before() -> None:
    """So that a resumed run begins a stage with the same ones."""
    one = PlaceHeads(8)
    torch.rand(3)
    assert torch.equal(one.of_object.weight, PlaceHeads(8).of_object.weight)


def test_step_is_the_mean_of_those_before_and_after_a_frame() -> None:
    """One pixel of eight is a quarter of -1..1; a frame that does not show the object has no step to or from it."""
    masks = torch.zeros(1, 1, 5, 8, 8, dtype=torch.uint8)  # an object of one pixel, not seen in frame 3
    for frame, column in ((0, 2), (1, 3), (2, 5), (4, 7)):
        masks[0, 0, frame, 4, column] = 1
    step, known = steps(masks)
    assert known[0, :, 0].tolist() == [True, True, True, False, False]
    torch.testing.assert_close(step[0, :3, 0, 1], torch.tensor([0.25, 0.375, 0.5]))
    assert not step[..., 0].any()


def test_motion_is_judged_where_it_is_known() -> None:
    """A head that says nothing moves is wrong by the step, in tenths; a single frame has no motion."""
    masks = torch.zeros(1, 1, 2, 8, 8, dtype=torch.uint8)
    masks[0, 0, 0, 4, 2] = masks[0, 0, 1, 4, 3] = 1
    heads = PlaceHeads(4)
    torch.nn.init.zeros_(heads.of_motion.weight)
    matched = torch.ones(1, 1, 1, dtype=torch.bool)
    assert float(motion_loss(heads, torch.randn(1, 1, 2, 1, 4), matched, masks).detach()) == pytest.approx(2.5)
    assert not motion_loss(heads, torch.randn(1, 1, 2, 1, 4), ~matched, masks)
    assert not motion_loss(heads, torch.randn(1, 1, 1, 1, 4), matched, masks[:, :, :1])
