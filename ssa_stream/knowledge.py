"""What a checkpoint knows, by its own account: its domain, its words, sentences to try. Loads no torch.

A checkpoint of ours may say this in the metadata of its file (`knowledge`). The shipped file is older than that field:
what it knows lies beside it, written by `python -m tools.card_vocabulary`. Of other checkpoints nothing is assumed.
"""

import filecmp
import functools
import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ssa_stream.printable import printable
from ssa_stream.strict_json import parse_json
from ssa_stream.texts import brief
from ssa_stream.weight_files import DEFAULT_CHECKPOINT, FileLook, located, look, read_metadata, shipped_checkpoints

__all__ = ["Knowledge", "knowledge_of"]

_MOST_WORDS, _MOST_CHARACTERS = 20_000, 200
_NAMED_WORDS = 5
_WEIGHTS_HELP = "ssa-stream checkpoint --help and docs/checkpoints.md"
"""The first is there without a clone of the repository, too."""
_IN_WORD = "-'\u200c\u200d"
"""Marks that may stand within a word; the last two join letters."""
_FUNCTION_WORDS = frozenset(
    "a an and any are as at be been being but by can did do does every find for from had has have he her here his i "
    "if in into is it its look looking many me most more my near of off on only onto or other our out over please she "
    "show some than that the their them then there these they this those to under up us was we were where which while "
    "who whose will with within you your".split()
)
"""No checkpoint need know these: a hint names words that say what is looked for."""


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What a checkpoint knows.

    Attributes:
        name: What to call the checkpoint: the name of a shipped one, or that of its file.
        domain: What it was trained on, in a word or two; None if it does not say: nothing is assumed then.
        words: All words that it was told the meaning of, in lower case; None if it does not say.
        examples: Sentences that it follows.
        is_trained: False for random weights, whose masks mean nothing.
    """

    name: str
    domain: str | None = None
    words: frozenset[str] | None = None
    examples: tuple[str, ...] = ()
    is_trained: bool = True

    @classmethod
    def parse(cls, name: str, text: str | bytes) -> "Knowledge":
        """Read what `to_json` wrote.

        Raises:
            ValueError: It is something else; says what.
        """
        found = parse_json(text)
        if not isinstance(found, Mapping) or not isinstance(found.get("domain"), str):
            raise ValueError(f"its knowledge is {brief(found)}; expected domain, words and examples")
        lists = [found.get("words"), found.get("examples")]
        if not all(isinstance(one, list) and len(one) <= _MOST_WORDS for one in lists):
            raise ValueError(f"its knowledge has no lists of at most {_MOST_WORDS} words and examples")
        texts = [found["domain"], *found["words"], *found["examples"]]
        if not all(isinstance(one, str) and 0 < len(one) <= _MOST_CHARACTERS for one in texts):
            raise ValueError(f"its knowledge has something that is no text of 1 to {_MOST_CHARACTERS} characters")
        examples = tuple(printable(example) for example in found["examples"])
        return cls(name, printable(found["domain"]), frozenset(found["words"]), examples)

    def to_json(self, indent: int | None = None) -> str:
        """Domain, words and examples as JSON; for a checkpoint that has a domain."""
        plain = {"domain": self.domain, "examples": list(self.examples), "words": sorted(self.words or ())}
        return json.dumps(plain, ensure_ascii=False, indent=indent)

    def unknown_words(self, sentence: str) -> tuple[str, ...]:
        """Words of a sentence that the checkpoint lacks, as they stand there, each once; none if it has no list.

        A word with a hyphen is known if all of it is, or each of its parts. Function words count as known.
        """
        if self.words is None:
            return ()
        return tuple(dict.fromkeys(word for word in _words(sentence) if not self._knows(word)))

    def hint(self, sentence: str) -> str | None:
        """What to say about a sentence with words that the checkpoint lacks; None if there are none."""
        words = self.unknown_words(sentence)
        if not words:
            return None
        named = ", ".join(f'"{brief_word(word)}"' for word in words[:_NAMED_WORDS])
        more = f" and {len(words) - _NAMED_WORDS} more" if len(words) > _NAMED_WORDS else ""
        example = f', such as "{self.examples[0]}"' if self.examples else ""
        return f"{self.name} does not know {named}{more}; it knows {self.domain}{example}"

    def introduction(self, *, is_synthetic: bool) -> str:
        """One line for people about what runs, without a full stop at its end.

        Args:
            is_synthetic: All sources are made-up scenes of drawn shapes.
        """
        if not self.is_trained:
            return "random weights: the masks mean nothing; they show that the pipeline runs"
        if self.domain is None or is_synthetic:
            return f"checkpoint: {self.name}"
        example = f' (such as "{self.examples[0]}")' if self.examples else ""
        return (
            f"checkpoint: {self.name} knows {self.domain} only{example}. It will not find things of the real world: "
            f"give weights that do with --checkpoint (see {_WEIGHTS_HELP})"
        )

    def advice(self, *, is_synthetic: bool) -> str:
        """What to do where nothing was found in any frame.

        Args:
            is_synthetic: See `introduction`.
        """
        if self.domain is None or is_synthetic:
            return "try another sentence, or a lower threshold (--threshold of run, session.threshold of a pipeline)"
        example = f', such as "{self.examples[0]}"' if self.examples else ""
        return (
            f"{self.name} knows {self.domain} only{example}; for real video give other weights with --checkpoint "
            f"(see {_WEIGHTS_HELP})"
        )

    def caveat(self, *, is_synthetic: bool) -> str | None:
        """What to say where something was found; None if it needs no doubt.

        Args:
            is_synthetic: See `introduction`.
        """
        if self.domain is None or is_synthetic:
            return None
        return f"{self.name} knows {self.domain} only: what it found here may be something else"

    def _knows(self, word: str) -> bool:
        plain = word.casefold()
        known = (self.words or frozenset()) | _FUNCTION_WORDS
        return plain in known or plain.removesuffix("'s") in known or all(part in known for part in plain.split("-"))


def knowledge_of(checkpoint: str | Path | None = None, *, random_weights: bool = False) -> Knowledge:
    """What a checkpoint knows. Of a file whose header makes no sense that is nothing: who loads it says what is wrong.

    Args:
        checkpoint: The file, or the name of a shipped one; None takes the default.
        random_weights: There is no checkpoint: the weights mean nothing.
    Raises:
        CheckpointError: It is not there.
    """
    if random_weights:
        return Knowledge("random weights", is_trained=False)
    path = located(checkpoint or DEFAULT_CHECKPOINT)
    return _read(path, look(path))


@functools.lru_cache(maxsize=16)
def _read(path: Path, seen: FileLook) -> Knowledge:
    """What a file knows that looks so."""
    for name, shipped in shipped_checkpoints().items():
        if path == shipped or (seen.size_bytes == look(shipped).size_bytes and filecmp.cmp(path, shipped, False)):
            return Knowledge.parse(name, shipped.with_suffix(".json").read_bytes())
    name = printable(path.name)
    said = read_metadata(path).get("knowledge")
    try:
        return Knowledge(name) if said is None else Knowledge.parse(name, said)
    except ValueError:
        return Knowledge(name)


def brief_word(word: str) -> str:
    """A word, cut where it is too long for a line."""
    return word if len(word) <= 40 else f"{word[:39]}…"


def _words(sentence: str) -> list[str]:
    """The words of a sentence in any script; an emoji is a word."""
    plain = unicodedata.normalize("NFC", sentence).replace("\u2019", "'")
    kept = "".join(mark if mark in _IN_WORD or _is_of_word(mark) else " " for mark in plain)
    return [word for part in kept.split() if (word := part.strip(_IN_WORD))]


def _is_of_word(mark: str) -> bool:
    category = unicodedata.category(mark)
    return category[0] in "LMN" or category == "So"
