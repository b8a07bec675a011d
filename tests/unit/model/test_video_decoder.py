"""Pooling over time, continued, and the temporal enhancer."""

import pytest
import torch
from torch import nn

from ssa_stream.model import CarriedPool
from ssa_stream.model.positions import sine_1d
from ssa_stream.model.video_decoder import TemporalEnhancer, pool


def carried(values: torch.Tensor, logits: torch.Tensor) -> CarriedPool:
    """What frames leave behind."""
    return CarriedPool(logits.logsumexp(dim=1), (logits.softmax(dim=1)[..., None] * values).sum(dim=1))


@pytest.mark.parametrize("scale", [1.0, 60.0], ids=["mild", "extreme"])
@pytest.mark.parametrize("cut", [1, 4, 8])
def test_pool_continued_equals_one_long_softmax(cut: int, scale: float) -> None:
    """Frames that have left the window count exactly as if they were in it."""
    values, logits = torch.randn(2, 9, 4, 8), scale * torch.randn(2, 9, 4)
    whole = (logits.softmax(dim=1)[..., None] * values).sum(dim=1)
    torch.testing.assert_close(pool(values, logits, None), whole, rtol=1e-5, atol=1e-6)
    continued = pool(values[:, cut:], logits[:, cut:], carried(values[:, :cut], logits[:, :cut]))
    torch.testing.assert_close(continued, whole, rtol=1e-5, atol=1e-6)


def test_pool_with_nothing_carried_equals_none() -> None:
    """An empty carry has the weight zero, whose log is minus infinity."""
    values, logits = torch.randn(1, 3, 2, 4), torch.randn(1, 3, 2)
    empty = CarriedPool(torch.full((1, 2), -torch.inf), torch.zeros(1, 2, 4))
    torch.testing.assert_close(pool(values, logits, empty), pool(values, logits, None))


def test_pool_of_one_frame_is_that_frame() -> None:
    """The weight of a single frame is 1."""
    values = torch.randn(1, 1, 2, 4)
    torch.testing.assert_close(pool(values, torch.randn(1, 1, 2), None), values[:, 0])


def test_temporal_enhancer_equals_its_description() -> None:
    """Convolutions see edge frames repeated; attention adds the time code to queries and keys only."""
    enhancer = TemporalEnhancer(8, 2).eval()
    for parameter in enhancer.parameters():
        nn.init.normal_(parameter, std=0.5)
    p = torch.randn(1, 4, 3, 8)
    attention = nn.MultiheadAttention(8, 2, batch_first=True).eval()
    attention.load_state_dict(enhancer.attention.state_dict())
    out = enhancer(p)
    for slot in range(3):
        line = p[0, :, slot].T  # (C, T)
        edges = [line[:, :1]] * 2 + [line] + [line[:, -1:]] * 2
        hidden = nn.functional.conv1d(torch.cat(edges, dim=1), enhancer.conv1.weight, enhancer.conv1.bias).relu()
        edges = [hidden[:, :1], hidden, hidden[:, -1:]]
        e = nn.functional.conv1d(torch.cat(edges, dim=1), enhancer.conv2.weight, enhancer.conv2.bias).T
        e = enhancer.conv_norm(e + p[0, :, slot])[None]
        timed = e + sine_1d(4, 8, p.device, p.dtype)
        expected = enhancer.attention_norm(e + attention(timed, timed, e)[0])[0]
        torch.testing.assert_close(out[0, :, slot], expected, rtol=1e-4, atol=1e-5)
