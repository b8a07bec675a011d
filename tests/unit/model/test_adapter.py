"""The stage adapter's shortcuts change nothing: it equals the description, path by path."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ssa_stream.model import TextFeatures
from ssa_stream.model.adapter import StageAdapter
from ssa_stream.model.positions import sine_1d, sine_2d

CHANNELS, TEXT, WIDTH, HEADS = 12, 10, 16, 4
CPU = torch.device("cpu")


def text_of(rows: int, words: int = 6) -> TextFeatures:
    """Random text features; the first sentence has three padding slots at its end."""
    mask = torch.ones(rows, words, dtype=torch.bool)
    mask[0, -3:] = False
    tokens = torch.zeros(rows, 77, dtype=torch.int64)
    return TextFeatures(tokens, torch.randn(rows, words, TEXT), mask, torch.randn(rows, TEXT))


def plain(adapter: StageAdapter, v: Tensor, text: TextFeatures) -> Tensor:
    """The adapter as it is described, both text paths projected up before anything is mixed."""
    B, C, h, w = v.shape
    attention = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True).eval()
    attention.load_state_dict(adapter.attention.state_dict())
    conv = F.relu(adapter.visual_out(F.relu(adapter.visual_in(v)))) + v
    q = adapter.query_proj(v).flatten(2).transpose(1, 2)
    placed = q + sine_2d(h, w, WIDTH, False, CPU, q.dtype)
    words = adapter.text_proj(text.words)
    keys = words + sine_1d(words.shape[1], WIDTH, CPU, q.dtype)
    sentence = adapter.text_proj(text.sentence)[:, None]

    def up(mixed: Tensor) -> Tensor:
        tokens: Tensor = adapter.output_proj(adapter.norm(q + mixed))
        return tokens.transpose(1, 2).reshape(B, C, h, w)

    from_words = up(attention(placed, keys, words, key_padding_mask=~text.mask)[0])
    from_sentence = up(attention(placed, sentence, sentence)[0])
    pooled = torch.cat([x.mean(dim=(2, 3)) for x in (from_sentence, from_words, conv)], dim=1)
    gates = adapter.gate.weights(F.relu(adapter.gate.hidden(pooled))).softmax(dim=-1)
    parts = zip(gates.unbind(1), (from_sentence, from_words, conv), strict=True)
    return torch.stack([gate[:, None, None, None] * part for gate, part in parts]).sum(dim=0)


def test_adapter_equals_its_description() -> None:
    """One output projection of the gated mix equals projecting each path; padding words are not seen."""
    adapter = StageAdapter(CHANNELS, TEXT, WIDTH, HEADS, 0.1).eval()
    for parameter in adapter.parameters():
        nn.init.normal_(parameter, std=0.4)
    v, text = torch.randn(2, CHANNELS, 3, 5), text_of(2)
    expected = plain(adapter, v, text)
    torch.testing.assert_close(adapter(adapter.visual_path(v), text), expected, rtol=1e-4, atol=1e-5)
    unseen = text._replace(words=torch.where(text.mask[..., None], text.words, torch.randn(())))
    torch.testing.assert_close(adapter(adapter.visual_path(v), unseen), expected, rtol=1e-4, atol=1e-5)


def test_visual_path_taken_by_row_equals_repeated_maps() -> None:
    """Several sentences on one frame share the part before the text."""
    adapter = StageAdapter(CHANNELS, TEXT, WIDTH, HEADS, 0.1).eval()
    v, text, rows = torch.randn(2, CHANNELS, 3, 4), text_of(3), torch.tensor([1, 0, 1])
    torch.testing.assert_close(
        adapter(adapter.visual_path(v).take(rows), text), adapter(adapter.visual_path(v[rows]), text)
    )
