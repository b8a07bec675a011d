"""CLIP's tokenizer as a file: the same ids as open_clip's, without torch."""

import json

import open_clip
import pytest
from tokenizers import Tokenizer

from ssa_stream.engines.tokenizer_file import tokenizer_file


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    """The file, as another program reads it."""
    return Tokenizer.from_str(json.dumps(tokenizer_file(77)))


@pytest.mark.parametrize(
    "sentence",
    [
        "the red circle",
        "The Person, carrying 123 boxes!  it's (left) don't",
        "two  forklifts\tdriving\n away ",
        "naïve café — e\u0301tude",
        "日本語 の 犬 😀",
        "word " * 100,
        "<end_of_text> hello",
        "",
    ],
    ids=["plain", "marks", "spaces", "accents", "scripts", "too long", "special", "empty"],
)
def test_tokenizer_file_gives_the_ids_that_the_network_was_trained_with(sentence: str, tokenizer: Tokenizer) -> None:
    """Begin and end, padding and cutting included."""
    assert tokenizer.encode(sentence).ids == open_clip.tokenize([sentence])[0].tolist()
