"""How much of a sentence CLIP reads."""

import re

import open_clip
import pytest

from ssa_stream.model.clip import cut_off

WORDS = "the red circle that moves over the ground "


@pytest.mark.parametrize("text", ["the red circle", "a" * 76, WORDS * 9, "\u00e9" * 70, "!" * 300])
def test_sentence_that_is_read_whole_needs_no_word(text: str) -> None:
    """However many letters or bytes it has."""
    assert int(open_clip.tokenize(text, context_length=400).argmax()) <= 76
    assert cut_off(text, 77) is None


@pytest.mark.parametrize("text", [WORDS * 10, "\u65e5\u672c\u8a9e " * 60, "x1 " * 500])
def test_long_sentence_tells_its_tokens_and_where_reading_ends(text: str) -> None:
    """Counted by CLIP's own tokenizer."""
    tokens = int(open_clip.tokenize(text, context_length=4000).argmax()) - 1
    said = cut_off(text, 77)
    assert said is not None
    assert said.startswith(f"it has {tokens} of CLIP's tokens, and the first 75 are read, up to '...")
    shown = re.search(r"'\.\.\.(.*)'", said)
    assert shown is not None
    assert 0 < len(shown[1]) <= 30
