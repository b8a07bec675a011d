"""The probe of movements: every clear sentence is answered once, by slots that hold something."""

import copy

import torch
import torch.nn.functional as F

import benchmarks.movement_probe as probe
from ssa_stream.data.synthetic.movement_sentences import MOVEMENT_CLAIMS
from ssa_stream.training.tiny.motion.windows import MotionWindows
from tests.support.tiny_model import tiny_model, told_model


def _windows(actions: list[int]) -> MotionWindows:
    """Two objects in slots 0 and 1 of six, three sentences: about the first, about none, and one that is not clear."""
    T, N, G = 4, 6, 2
    covers = torch.zeros(1, T, N, G, dtype=torch.bool)
    covers[..., 0, 0] = covers[..., 1, 1] = True
    torch.manual_seed(0)
    return MotionWindows(
        queries=torch.randn(1, 1, N, 64).repeat(1, T, 1, 1),
        moments=torch.zeros(1, T, N, 0),
        text=torch.randn(1, 3, 64),
        query=torch.tensor([0, 1]).expand(1, T, G),
        matched=torch.ones(1, T, G, dtype=torch.bool),
        covers=covers,
        location=torch.zeros(1, T, G, 3),
        velocity=torch.zeros(1, T, G, 3),
        known=torch.ones(1, T, G, dtype=torch.bool),
        does=F.one_hot(torch.tensor(actions), len(MOVEMENT_CLAIMS)).float()[None],
        asked=torch.tensor([[2, 3, 4]]),
        fits=torch.tensor([[True, True, False]]),
        meant=torch.tensor([[[True, False], [False, False], [True, True]]]),
    )


def test_clear_sentences_are_answered_by_slots_of_objects() -> None:
    """What is not clear is left out; without a meant object there is no probability of one."""
    windows = _windows([2, 3])
    first, second = probe._answers(tiny_model(), windows)
    assert first.movement == type(MOVEMENT_CLAIMS[2]).__name__
    assert first.meant is not None
    assert first.other is not None
    assert second.meant is None
    assert second.other is not None
    assert first.meant != first.other
    swapped = windows._replace(meant=windows.meant.flip(-1))
    again, _ = probe._answers(tiny_model(), swapped)
    assert (again.meant, again.other) == (first.other, first.meant)


def test_both_kinds_of_networks_are_asked() -> None:
    """With and without moments, of whole clips."""
    for model in (copy.deepcopy(tiny_model()), told_model(weight_std=0.3)):
        given = list(probe.answers(model, 2, (64, 96)))
        assert given
        numbers = [value for one in given for value in (one.meant, one.other) if value is not None]
        assert all(0 <= value <= 1 for value in numbers)
