"""Attention with one projection matrix gives what torch's own module gives."""

import pytest
import torch
from torch import Tensor, nn

from ssa_stream.model.layers import MLP, Attention, CrossAttention, FeedForward, SelfAttention

DIM, HEADS = 24, 4


def twin(attention: Attention) -> nn.MultiheadAttention:
    """Torch's module with the same parameters, which also proves that their names are the same."""
    module = nn.MultiheadAttention(attention.in_proj_weight.shape[1], attention.num_heads, batch_first=True).eval()
    module.load_state_dict(attention.state_dict())
    return module


def randomize(module: nn.Module) -> None:
    """Biases and norms that are not zero or one, so that forgetting them shows."""
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)


@pytest.fixture
def attention() -> Attention:
    """An attention module in evaluation mode."""
    module = Attention(DIM, HEADS).eval()
    randomize(module)
    return module


def test_attention_with_mask_equals_torch(attention: Attention) -> None:
    """Projection order, scale and mask are those of `nn.MultiheadAttention`."""
    query, key, value = torch.randn(3, 5, DIM), torch.randn(3, 7, DIM), torch.randn(3, 7, DIM)
    blocked = torch.rand(3, 5, 7) < 0.4
    blocked[..., 0] = False
    ours = attention(query, key, value, blocked[:, None])
    theirs, _ = twin(attention)(query, key, value, attn_mask=blocked.repeat_interleave(HEADS, 0))
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_attend_single_equals_torch_with_one_key(attention: Attention) -> None:
    """With one key the weight is 1, whatever the query: the shortcut changes nothing."""
    query, value = torch.randn(3, 5, DIM), torch.randn(3, DIM)
    ours = attention.attend_single(value, 5).expand(3, 5, DIM)
    theirs, _ = twin(attention)(query, torch.randn(3, 1, DIM), value[:, None])
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_attend_single_in_training_drops_whole_heads() -> None:
    """Dropout on a weight of 1 leaves 0 or 1/(1-p) of a head's contribution, query by query."""
    attention, value = Attention(8, 2, dropout=0.5), torch.randn(1, 8)
    nn.init.eye_(attention.out_proj.weight)
    whole = attention.eval().attend_single(value, 64).expand(1, 64, 8).unflatten(-1, (2, 4))
    out = attention.train().attend_single(value, 64).unflatten(-1, (2, 4))
    dropped = (out == 0).all(dim=-1)
    assert 20 < dropped.sum() < 108
    torch.testing.assert_close(out[~dropped], 2 * whole[~dropped])


@pytest.mark.parametrize("kind", ["cross", "self", "single"])
def test_sublayers_are_post_norm_with_position_on_queries_and_keys_only(kind: str) -> None:
    """LN(x + attention(...)); positions are added to queries and keys, never to values or to what is passed on."""
    layer = (SelfAttention if kind == "self" else CrossAttention)(DIM, HEADS).eval()
    randomize(layer)
    x, position, memory = torch.randn(2, 5, DIM), torch.randn(5, DIM), torch.randn(2, 1 if kind == "single" else 7, DIM)
    torch_attention = twin(layer.attention)
    if kind == "self":
        assert isinstance(layer, SelfAttention)
        ours = layer(x, position)
        mixed, _ = torch_attention(x + position, x + position, x)
    elif kind == "single":
        assert isinstance(layer, CrossAttention)
        ours = layer.read_single(x, memory[:, 0])
        mixed, _ = torch_attention(x + position, memory, memory)
    else:
        assert isinstance(layer, CrossAttention)
        ours = layer(x, memory + 1, memory, position)
        mixed, _ = torch_attention(x + position, memory + 1, memory)
    torch.testing.assert_close(ours, layer.norm(x + mixed), rtol=1e-5, atol=1e-5)


def test_feed_forward_and_mlp_are_the_plain_formulas() -> None:
    """Post-norm feed-forward with ReLU; an MLP of three layers with ReLU between."""
    block, mlp, x = FeedForward(DIM, 32), MLP(DIM), torch.randn(2, 3, DIM)
    randomize(block)
    expected: Tensor = block.norm(x + block.linear2(block.linear1(x).clamp(min=0)))
    torch.testing.assert_close(block(x), expected)
    first, second, third = (layer for layer in mlp if isinstance(layer, nn.Linear))
    torch.testing.assert_close(mlp(x), third(second(first(x).relu()).relu()))
