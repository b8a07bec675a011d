"""Sentences that a stream is searched for: when two of them are one and the same."""

from collections.abc import Iterable

from ssa_stream.errors import ConfigError

__all__ = ["expect_distinct", "sentence_key"]


def sentence_key(text: str) -> str:
    """Equal for sentences that ask for the same: CLIP reads neither capitals nor the number of spaces."""
    return " ".join(text.split()).casefold()


def expect_distinct(sentences: Iterable[tuple[str | None, str]]) -> None:
    """Refuse a sentence that one stream would be searched for twice: the same masks, for twice the work.

    Args:
        sentences: Pairs of an id, None where there is none yet, and a sentence.
    Raises:
        ConfigError: Two of them are equal but for capitals and spaces; says under which id the first one is.
    """
    first: dict[str, str | None] = {}
    for name, text in sentences:
        key = sentence_key(text)
        if key in first:
            known = "is given twice" if first[key] is None else f"is prompt {first[key]} already"
            raise ConfigError(
                f"the sentence {text!r} {known}; expected each sentence once on a stream (capitals and spaces do not "
                f"count): leave it out, or give another one"
            )
        first[key] = name
