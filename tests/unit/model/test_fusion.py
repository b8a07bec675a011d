"""The text fusion's order of operations changes nothing: it equals bidirectional attention written out."""

import pytest
import torch
from torch import Tensor, nn

from ssa_stream.model.pixel_decoder import TextFusion

DIM, INNER, HEADS = 8, 24, 3
LIMIT = 50_000.0


def split(x: Tensor) -> Tensor:
    """Heads to the batch axis, `(B*heads, S, d)`."""
    heads: Tensor = x.unflatten(-1, (HEADS, -1)).transpose(1, 2).flatten(0, 1)
    return heads


def join(x: Tensor) -> Tensor:
    """Heads back to the channels, `(B, S, inner)`."""
    joined: Tensor = x.unflatten(0, (-1, HEADS)).transpose(1, 2).flatten(2)
    return joined


def plain(block: TextFusion, visual: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
    """As it is described: every token projected, one global maximum taken off, both softmaxes."""
    v, sentence = block.norm_visual(visual), block.norm_text(text)[:, None]
    q, k = split(block.query_proj(v)) * (INNER // HEADS) ** -0.5, split(block.key_proj(sentence))
    value_v, value_l = split(block.visual_value_proj(v)), split(block.text_value_proj(sentence))
    scores = q @ k.transpose(1, 2)  # (B*heads, S, 1)
    scores = (scores - scores.max()).clamp(-LIMIT, LIMIT)
    back = scores.transpose(1, 2)
    back = (back - back.amax(dim=-1, keepdim=True)).clamp(-LIMIT, LIMIT)
    to_v = block.visual_out_proj(join(scores.softmax(dim=-1) @ value_l))
    to_text = block.text_out_proj(join(back.softmax(dim=-1) @ value_v))
    return v + block.gamma_visual * to_v, (sentence + block.gamma_text * to_text)[:, 0]


@pytest.fixture
def block() -> TextFusion:
    """A fusion block with weights large enough to matter, in evaluation mode."""
    module = TextFusion(DIM, INNER, HEADS, 0.1).eval()
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module


def test_fusion_equals_its_description(block: TextFusion) -> None:
    """Both sides, with biases, gammas and norms that are not neutral."""
    visual, text = torch.randn(3, 11, DIM), torch.randn(3, DIM)
    for ours, theirs in zip(block(visual, text), plain(block, visual, text), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_fusion_items_of_a_batch_do_not_influence_each_other(block: TextFusion) -> None:
    """What else is in a batch changes nothing, not even a rounding."""
    visual, text = torch.randn(2, 11, DIM), torch.randn(2, DIM)
    alone = block(visual[:1], text[:1])
    beside = block(torch.cat([visual[:1], 100 * visual[1:]]), torch.cat([text[:1], 100 * text[1:]]))
    for one, other in zip(alone, beside, strict=True):
        torch.testing.assert_close(other[:1], one, rtol=1e-6, atol=1e-6)


def test_fusion_in_training_drops_probabilities_on_both_sides(block: TextFusion) -> None:
    """Dropout makes both outputs random, and only in training."""
    visual, text = torch.randn(1, 11, DIM), torch.randn(1, DIM)
    block.dropout.p = 0.5
    for before, after in zip(block.train()(visual, text), block(visual, text), strict=True):
        assert not torch.equal(before, after)
    for before, after in zip(block.eval()(visual, text), block(visual, text), strict=True):
        torch.testing.assert_close(before, after, rtol=0, atol=0)
