"""Sentences are encoded once while they are in use."""

import pytest

from ssa_stream.nodes.encoder.node import SentenceCache


def test_sentence_is_encoded_once_until_others_push_it_out() -> None:
    """The one that was not used for longest goes."""
    calls = []

    def encode(text: str) -> str:
        calls.append(text)
        return text.upper()

    texts = SentenceCache(encode, capacity=2)
    assert [texts[one] for one in ("a", "b", "a", "c", "a", "b")] == ["A", "B", "A", "C", "A", "B"]
    assert calls == ["a", "b", "c", "b"]
    assert len(texts) == 2


def test_failed_sentence_is_tried_again() -> None:
    """Nothing is kept of it."""
    fails = [True]

    def encode(text: str) -> str:
        if fails.pop():
            raise MemoryError
        return text

    texts = SentenceCache(encode)
    with pytest.raises(MemoryError):
        texts["a"]
    fails.append(False)
    assert texts["a"] == "a"
