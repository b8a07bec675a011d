"""Text from outside is shown as text, and nothing else of it reaches a terminal."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssa_stream.printable import hidden_characters, json_escaped, printable, printable_lines

# All characters that there are, lone surrogates among them.
_TEXTS = st.text(st.characters(exclude_categories=()))
_HONEST = ["the red cup", "Größe", "ٱلْكُرَة ٱلْحَمْرَاء", "می‌خواهم", "红色的圆", "क्‍ष", "👩‍🚀 ❤️", "a\u200eb", "\\x1b"]


def _is_obeyed(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Zl", "Zp", "Cs") or unicodedata.bidirectional(character) in (
        "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI",
    )  # fmt: skip


@given(_TEXTS)
def test_printable_text_has_nothing_that_a_terminal_obeys(text: str) -> None:
    """Whatever came; and it can be encoded, and is the same when it is made printable again."""
    shown = printable(text)
    assert not any(map(_is_obeyed, shown))
    assert shown.encode().decode() == shown == printable(shown)


@given(_TEXTS)
def test_printable_lines_have_line_feeds_and_tabs_besides(text: str) -> None:
    """And nothing else more than the one line."""
    shown = printable_lines(text)
    assert {character for character in shown if _is_obeyed(character)} <= {"\n", "\t"}
    assert shown.replace("\n", "\\x0a").replace("\t", "\\x09") == printable(text)


@given(_TEXTS)
def test_text_is_unchanged_if_and_only_if_nothing_is_hidden_in_it(text: str) -> None:
    """What is named as hidden is what is written out."""
    assert (printable(text) == text) == (hidden_characters(text) == "")


@pytest.mark.parametrize("text", _HONEST)
def test_honest_text_of_every_script_is_unchanged(text: str) -> None:
    """Joiners and marks of direction belong to it."""
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x9b2J\x7f", r"\x9b2J\x7f"),
        ("a\r\nb\tc", r"a\x0d\x0ab\x09c"),
        ("\u202ecod\u2066", r"\u202ecod\u2066"),
        ("r\u200bed\ufeff\u2028", r"r\u200bed\ufeff\u2028"),
        ("\U000e0041\udc9b", r"\U000e0041\udc9b"),
    ],
)
def test_hidden_character_is_written_out(text: str, shown: str) -> None:
    """As Python writes it in a literal."""
    assert printable(text) == shown


@given(st.recursive(_TEXTS, lambda inner: st.lists(inner) | st.dictionaries(_TEXTS, inner)))
def test_json_document_means_the_same_and_hides_nothing(value: object) -> None:
    """Also with the characters of other scripts as they are."""
    document = json_escaped(json.dumps(value, ensure_ascii=False, indent=1))
    assert not {character for character in document if _is_obeyed(character)} - {"\n"}
    assert json.loads(document) == json.loads(json.dumps(value))
