"""Where objects are: centres and extents by hand, and what counts in the loss."""

import pytest
import torch

from ssa_stream.training.objectives.forward import VideoOutput
from ssa_stream.training.objectives.matching import Matches, SetPrediction
from ssa_stream.training.tiny.locations import LocationHeads, TokenLocationHeads, locations, velocities


def _output(projected: torch.Tensor, enhanced: torch.Tensor) -> VideoOutput:
    """Slot s holds the query after s."""
    nothing, order = torch.zeros(0), torch.arange(projected.shape[-2]).roll(-1).expand(projected.shape[:-1])
    slots_of = enhanced.roll(-1, dims=-2)
    return VideoOutput(SetPrediction(nothing, nothing, nothing), projected, slots_of, order, slots_of, nothing)


def _matches(matched: torch.Tensor) -> Matches:
    """Object g has query g."""
    return Matches(torch.arange(matched.shape[-1]).expand(matched.shape), matched)


def test_location_of_a_rectangle_is_its_centre_and_the_root_of_its_part() -> None:
    """Rows 0 to 3 of 8 and columns 6 to 7 of 8 are an eighth of the picture."""
    mask = torch.zeros(8, 8, dtype=torch.uint8)
    mask[:4, 6:] = 1
    torch.testing.assert_close(locations(mask), torch.tensor([-0.5, 0.75, (8 / 64) ** 0.5]))


def test_whole_picture_is_centred_and_an_empty_mask_is_zero() -> None:
    """Neither divides by nothing."""
    both = torch.stack([torch.ones(4, 6), torch.zeros(4, 6)]).to(torch.uint8)
    torch.testing.assert_close(locations(both), torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]), atol=1e-6, rtol=0)


def test_large_masks_do_not_overflow() -> None:
    """Sums of uint8 are not uint8."""
    mask = torch.ones(600, 600, dtype=torch.uint8)
    torch.testing.assert_close(locations(mask), torch.tensor([0.0, 0.0, 1.0]), atol=1e-4, rtol=0)


def test_only_matched_queries_count() -> None:
    """This head says the centre of the picture, and no extent."""
    masks = torch.zeros(1, 2, 1, 8, 8, dtype=torch.uint8)  # an item of two objects and one frame
    masks[0, 0, 0, :4, 6:] = 1
    masks[0, 1, 0, 7, 7] = 1
    matched = torch.tensor([True, False])
    heads = LocationHeads(16)
    torch.nn.init.zeros_(heads.location.weight)
    output = _output(torch.randn(1, 1, 1, 2, 16), torch.randn(1, 1, 1, 2, 16))
    of_frames = _matches(matched.view(1, 1, 1, 2))
    location, motion = heads(output, of_frames, masks)
    assert float(location.detach()) == pytest.approx(0.5 + 0.75 + (8 / 64) ** 0.5)
    assert not motion, "one frame shows no motion"
    assert not heads(output, Matches(of_frames.query, torch.zeros_like(of_frames.matched)), masks)[0]


def test_heads_read_what_their_weights_say() -> None:
    """Right locations and velocities have no loss; the velocity's unit is a tenth."""
    masks = torch.zeros(1, 2, 3, 8, 8, dtype=torch.uint8)
    for frame in range(3):
        masks[0, 0, frame, :4, frame] = masks[0, 1, frame, 5:, 7 - frame] = 1
    heads = LocationHeads(3)
    torch.nn.init.eye_(heads.location.weight)
    torch.nn.init.eye_(heads.velocity.weight)
    location, velocity = (
        locations(masks).transpose(1, 2)[None],
        velocities(locations(masks))[0][None],
    )  # (L, I, T, N, 3)
    matches = _matches(torch.ones(1, 1, 3, 2, dtype=torch.bool))
    right = torch.stack(heads(_output(location, 10 * velocity), matches, masks)).detach()
    torch.testing.assert_close(right, torch.zeros(2), atol=1e-5, rtol=0)
    wrong = heads(_output(location, -10 * velocity), matches, masks)[1]
    assert float(wrong.detach()) == pytest.approx(2 * 0.25 / 0.1)


def test_tokens_shall_know_their_own_location() -> None:
    """Memories that hold nothing but the locations have no loss with weights that read them, and else they have."""
    heads = TokenLocationHeads(2)
    y, x = torch.meshgrid(torch.tensor([-0.5, 0.5]), torch.tensor([-0.75, -0.25, 0.25, 0.75]), indexing="ij")
    memory = torch.stack([y, x])[None]
    for level in range(3):
        torch.nn.init.eye_(heads.location.get_parameter(f"{level}.weight"))
    assert not heads([memory] * 3)
    assert float(heads([memory, memory, memory.flip(2)]).detach()) == pytest.approx(1.0)


def test_heads_are_the_same_whatever_chance_came_before() -> None:
    """So that a resumed run begins a stage with the same ones."""
    one = LocationHeads(8)
    torch.rand(3)
    assert torch.equal(one.location.weight, LocationHeads(8).location.weight)


def test_velocity_is_the_slope_over_the_frames_around() -> None:
    """One pixel of eight is a quarter of -1..1; frames that do not show the object say nothing of it."""
    masks = torch.zeros(1, 1, 10, 8, 8, dtype=torch.uint8)  # an object of one pixel, not seen in frame 3, nor from 5 on
    for frame, column in ((0, 2), (1, 3), (2, 4), (4, 6)):
        masks[0, 0, frame, 4, column] = 1
    velocity, known = velocities(locations(masks))
    assert known[0, :, 0].tolist() == [True] * 6 + [False] * 4, "two frames are needed, three at most away"
    torch.testing.assert_close(velocity[0, :6, 0, 1], torch.full((6,), 0.25))
    assert not velocity[..., 0].any()
    assert not velocity[0, 6:].any()


def test_velocity_averages_over_noise() -> None:
    """An object that goes to and fro has none in the middle of it."""
    masks = torch.zeros(1, 1, 7, 8, 8, dtype=torch.uint8)
    for frame, column in enumerate((3, 4, 3, 4, 3, 4, 3)):
        masks[0, 0, frame, 4, column] = 1
    torch.testing.assert_close(velocities(locations(masks))[0][0, 3, 0], torch.zeros(3), atol=1e-6, rtol=0)
