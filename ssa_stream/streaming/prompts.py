"""Prompts of a stream: their names and versions, and what changing them answers. Nothing here needs torch."""

import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

from ssa_stream.errors import ConfigError
from ssa_stream.input_warnings import InputWarning
from ssa_stream.printable import hidden_characters, printable
from ssa_stream.sentences import expect_distinct, sentence_key

__all__ = ["WIRE_ID", "Prompt", "PromptAck", "PromptBook", "clean_text"]

WIRE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
"""Ids that may be part of a message's topic."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A sentence that a stream is searched for.

    Attributes:
        prompt_id: Name within the session.
        text: The sentence.
        version: Version of the session's prompts that brought it; two sentences never share one.
    """

    prompt_id: str
    text: str
    version: int


@dataclass(frozen=True, slots=True)
class PromptAck:
    """Answer to a change of prompts.

    Attributes:
        prompts: All prompts from now on.
        version: Version of the session's prompts.
        applies_from: Index of the first frame whose results follow the change.
        warnings: About new prompts that are not read to their end.
    """

    prompts: tuple[Prompt, ...]
    version: int
    applies_from: int
    warnings: tuple[InputWarning, ...] = ()


@dataclass(frozen=True, slots=True)
class PromptBook:
    """The prompts of a stream and how they are named. Every change makes a new book of the next version.

    A prompt that stays the same, id and sentence, is the same object in the new book.

    Attributes:
        prompts: In order of adding.
        version: Grows with every change.
        next_number: For ids of prompts that nobody named.
    """

    prompts: tuple[Prompt, ...] = ()
    version: int = 0
    next_number: int = 1

    @property
    def sentences(self) -> dict[str, str]:
        """Sentences by id, in order of adding."""
        return {prompt.prompt_id: prompt.text for prompt in self.prompts}

    def set(
        self,
        prompts: Sequence[str | tuple[str | None, str]] | Mapping[str, str],
        *,
        max_prompts: int,
        id_rule: re.Pattern[str] | None = None,
    ) -> "PromptBook":
        """Replace all prompts.

        Args:
            prompts: Sentences by id; or a list of sentences, each alone or as pair of id and sentence. One without an
                id keeps the id that it has, or gets a new one.
            max_prompts: Limit of their number.
            id_rule: What an id must match in full, such as `WIRE_ID`; None takes any but the empty one.
        Raises:
            ConfigError: An empty sentence or id, hidden characters in one (see
                `ssa_stream.printable`), an id that breaks the rule or comes twice, a sentence that comes twice (see
                `ssa_stream.sentences`), or too many prompts.
        """
        if isinstance(prompts, str):
            raise ConfigError(f"prompts is the string {prompts!r}; expected a list of sentences: [{prompts!r}]")
        if isinstance(prompts, Mapping):
            prompts = list({str(prompt_id): text for prompt_id, text in prompts.items()}.items())
        pairs = [item if isinstance(item, tuple) else (None, item) for item in prompts]
        cleaned = [(name, clean_text(text)) for name, text in pairs]
        expect_distinct(cleaned)
        return self._put(self._named(cleaned), max_prompts, id_rule)

    def add(
        self, text: str, prompt_id: str | None = None, *, max_prompts: int, id_rule: re.Pattern[str] | None = None
    ) -> "PromptBook":
        """Add a prompt, or give an existing id another sentence.

        Args:
            text: The sentence.
            prompt_id: Its name; None gives it a new one, that of the new book's last prompt.
            max_prompts: As for `set`.
            id_rule: As for `set`.
        Raises:
            ConfigError: As for `set`.
        """
        name = self._free_id(set(self.sentences)) if prompt_id is None else str(prompt_id)
        named = {**self.sentences, name: clean_text(text)}
        others = [(other, known) for other, known in named.items() if other != name]
        expect_distinct([*others, (name, named[name])])
        return self._put(named, max_prompts, id_rule)

    def remove(self, prompt_id: str) -> "PromptBook":
        """Remove a prompt.

        Raises:
            ConfigError: There is no such prompt.
        """
        left = self.sentences
        if left.pop(prompt_id, None) is None:
            raise ConfigError(
                f"there is no prompt {prompt_id!r} to remove; the session has: {', '.join(left) or 'none'}"
            )
        return self._put(left, max_prompts=len(left), id_rule=None)

    def _named(self, pairs: Sequence[tuple[str | None, str]]) -> dict[str, str]:
        """Sentences by id; those without one keep theirs or get a new one."""
        given = [name for name, _ in pairs if name is not None]
        if len(set(given)) < len(given):
            raise ConfigError(f"prompts with ids {', '.join(given)}; expected another id for each")
        known = {sentence_key(text): name for name, text in self.sentences.items() if name not in given}
        kept = {known[key] for name, text in pairs if name is None and (key := sentence_key(text)) in known}
        taken = {*given, *kept}
        named: dict[str, str] = {}
        for name, text in pairs:
            if name is None:
                name = known.get(sentence_key(text)) or self._free_id(taken)
                taken.add(name)
            named[name] = text
        return named

    def _free_id(self, taken: Set[str]) -> str:
        number = self.next_number
        while f"p{number}" in taken:
            number += 1
        return f"p{number}"

    def _put(self, named: Mapping[str, str], max_prompts: int, id_rule: re.Pattern[str] | None) -> "PromptBook":
        """Let these be the prompts; those that stay the same keep their version."""
        if "" in named:
            raise ConfigError(f"prompt {named['']!r} has an empty id; expected a name, or none to be given one")
        if id_rule and (wrong := [name for name in named if not id_rule.fullmatch(name)]):
            raise ConfigError(f"prompt id {wrong[0]!r} does not match {id_rule.pattern}; choose another name")
        for name in named:
            _expect_nothing_hidden("prompt id", name)
        if len(named) > max_prompts:
            raise ConfigError(f"{len(named)} prompts; SessionConfig.max_prompts allows {max_prompts}")
        version = self.version + 1
        old = {(prompt.prompt_id, prompt.text): prompt for prompt in self.prompts}
        prompts = tuple(old.get((name, text)) or Prompt(name, text, version) for name, text in named.items())
        return PromptBook(prompts, version, max([self.next_number, *(number + 1 for number in _numbers(named))]))


def clean_text(text: str) -> str:
    """A sentence without surrounding white space.

    Raises:
        ConfigError: Not a sentence, or there are hidden characters in it.
    """
    if not isinstance(text, str) or not text.strip():
        raise ConfigError(f"prompt is {text!r}; expected a sentence such as 'the person carrying the box'")
    cleaned = " ".join(text.split())
    _expect_nothing_hidden("prompt", cleaned)
    return cleaned


def _expect_nothing_hidden(what: str, text: str) -> None:
    hidden = hidden_characters(text)
    if hidden:
        raise ConfigError(
            f"{what} '{printable(text)}' has characters that a terminal obeys or nobody sees ({hidden}); expected "
            "plain text: type it anew without them"
        )


def _numbers(names: Iterable[str]) -> list[int]:
    """Numbers of ids that look like those the book gives; longer ones are beyond its reach."""
    return [int(name[1:]) for name in names if re.fullmatch(r"p[0-9]{1,9}", name)]
