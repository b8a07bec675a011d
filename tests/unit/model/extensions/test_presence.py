"""What video queries have in common: whether frames show anything that the sentence speaks of."""

import pytest
import torch
from torch import Tensor

from ssa_stream.model import SSA
from ssa_stream.model.extensions.presence import Presence
from ssa_stream.model.preprocess import to_input
from tests.support.tiny_model import model_with_presence, random_frames, tiny_model


def presence(weight: list[float], bias: float) -> Presence:
    """One that is set."""
    module = Presence(len(weight))
    module.set_reading(torch.tensor(weight), bias)
    return module


def test_the_greatest_of_the_window_counts() -> None:
    """By hand: frames that read 1, 3 and -1, -2."""
    aligned = torch.tensor([[[[1.0, 9.0], [3.0, 0.0]], [[-1.0, 5.0], [-2.0, 7.0]]]])
    assert presence([1.0, 0.0], 0.5)(aligned).tolist() == [3.5]


def test_order_of_slots_does_not_matter() -> None:
    """So that it is the same before and after they are aligned."""
    torch.manual_seed(0)
    aligned, module = torch.randn(3, 4, 5, 8), presence(torch.randn(8).tolist(), 0.0)
    assert torch.equal(module(aligned), module(aligned[:, :, torch.randperm(5)]))


def test_reading_is_exact_under_mixed_precision() -> None:
    """It decides on all queries of a window at once."""
    torch.manual_seed(0)
    aligned, module = torch.randn(2, 3, 4, 8) * 30, presence(torch.randn(8).tolist(), 0.0)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = module(aligned)
    assert mixed.dtype == torch.float32
    assert torch.equal(mixed, module(aligned))


def test_nothing_is_learned() -> None:
    """It is set; training must not move what the frame decoder's classes gave."""
    assert not list(Presence(8).parameters())
    assert set(Presence(8).state_dict()) == {"weight", "bias"}


def logits(model: SSA) -> tuple[Tensor, Tensor]:
    """Class logits of three frames' window, and its aligned queries."""
    clip = model(to_input(random_frames(3)), model.encode_text(["a dog"]))
    return clip.window.predictions[-1].class_logits, clip.aligned


@torch.inference_mode()
def test_network_is_the_same_until_it_is_set() -> None:
    """Weights of a network without it go on as they were."""
    assert torch.equal(logits(model_with_presence())[0], logits(tiny_model())[0])


@torch.inference_mode()
def test_log_odds_of_all_video_queries_move_alike() -> None:
    """By what is measured; logits of not being meant stay."""
    model = model_with_presence(weight_std=0.3)
    (ours, aligned), (theirs, _) = logits(model), logits(tiny_model())
    assert isinstance(model.video_decoder.presence, Presence)
    measured = model.video_decoder.presence(aligned)
    assert measured.abs().item() > 0.1
    assert torch.equal(ours[..., 1], theirs[..., 1])
    torch.testing.assert_close(ours[..., 0] - theirs[..., 0], measured[:, None].expand(1, 6), rtol=1e-4, atol=1e-5)


@torch.inference_mode()
@pytest.mark.parametrize("window", [1, 2])
def test_windows_have_a_presence_of_their_own(window: int) -> None:
    """Two in a batch are what each is alone."""
    model = model_with_presence(weight_std=0.3)
    torch.manual_seed(1)
    aligned, text = torch.randn(2, window, 6, 64), torch.randn(2, window, 64)
    both = model.decode_window(aligned, text)
    alone = torch.cat([model.decode_window(aligned[i : i + 1], text[i : i + 1]).probability for i in range(2)])
    torch.testing.assert_close(both.probability, alone)
