"""Naming and versions of prompts, as a value that needs no session."""

import pytest

from ssa_stream.errors import ConfigError
from ssa_stream.streaming.prompts import WIRE_ID, Prompt, PromptBook


def _book(*prompts: str | tuple[str | None, str]) -> PromptBook:
    return PromptBook().set(prompts, max_prompts=8)


def test_book_after_a_change_keeps_what_stayed_the_same() -> None:
    """The very objects, so that a version always means one sentence."""
    book = _book("red", "green")
    after = book.set({"p2": "green", "x": "blue"}, max_prompts=8)
    assert after.prompts == (Prompt("p2", "green", 1), Prompt("x", "blue", 2))
    assert after.prompts[0] is book.prompts[1]
    assert (after.version, after.next_number) == (2, 3)
    assert book.prompts == (Prompt("p1", "red", 1), Prompt("p2", "green", 1))


def test_set_with_some_ids_names_the_others() -> None:
    """A sentence without an id keeps the one it has, however it is written, unless that was given to another one."""
    book = _book("red", "green")
    assert book.set(["The red", "Green"], max_prompts=8).sentences == {"p3": "The red", "p2": "Green"}
    mixed = book.set([(None, "green"), ("p1", "blue"), "red"], max_prompts=8)
    assert mixed.sentences == {"p2": "green", "p1": "blue", "p3": "red"}


def test_set_with_an_id_twice_raises() -> None:
    """One of the two sentences would be lost."""
    with pytest.raises(ConfigError, match="another id for each"):
        _book(("a", "red"), ("a", "green"))


@pytest.mark.parametrize("name", ["a/b", "-a", "für", "a" * 65, "a b"])
def test_id_rule_refuses_ids_that_no_topic_can_have(name: str) -> None:
    """Only where a rule is given."""
    with pytest.raises(ConfigError, match="choose another name"):
        PromptBook().add("red", name, max_prompts=8, id_rule=WIRE_ID)
    with pytest.raises(ConfigError, match="choose another name"):
        PromptBook().set({name: "red"}, max_prompts=8, id_rule=WIRE_ID)
    assert PromptBook().add("red", name, max_prompts=8).sentences == {name: "red"}


@pytest.mark.parametrize("text", ["red\x1b]0;t\x07", "red\x9b2J", "\u202eder", "r\u200bed", "red\udc9b"])
def test_hidden_characters_in_sentence_or_id_are_refused(text: str) -> None:
    """The error says which, and shows them written out; with or without a rule for ids."""
    with pytest.raises(ConfigError, match=r"prompt '.*\\[xu][0-9a-f]+.*' has characters that a terminal obeys"):
        PromptBook().set([text], max_prompts=8)
    with pytest.raises(ConfigError, match=r"prompt id '.*\\[xu][0-9a-f]+.*' has characters"):
        PromptBook().add("red", text, max_prompts=8)
    with pytest.raises(ConfigError, match=r"choose another name"):
        PromptBook().add("red", "a\n", max_prompts=8, id_rule=WIRE_ID)


def test_white_space_of_every_kind_becomes_one_space() -> None:
    """It is no attack, and sentences are pasted."""
    assert PromptBook().set(["the\tred\r\n\u2028 cup\n"], max_prompts=8).sentences == {"p1": "the red cup"}


def test_removed_and_added_again_is_another_version() -> None:
    """What was seen under the old one says nothing about the new one."""
    book = _book(("a", "red")).remove("a").add("red", "a", max_prompts=8)
    assert book.prompts == (Prompt("a", "red", 3),)
    assert _book("red").remove("p1").add("red", max_prompts=8).prompts[0].prompt_id == "p2"
