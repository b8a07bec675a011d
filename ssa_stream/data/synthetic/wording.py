"""Words: synonyms for looks, and which of them are kept from the training split."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np

from ssa_stream.data.synthetic.predicates import Attributes

__all__ = ["CLIP_ONLY_WORDS", "HELD_OUT_PHRASES", "Vocabulary", "Wording", "noun_phrase", "with_article"]

CLIP_ONLY_WORDS: Final = (
    # nouns
    "disk",
    "rhombus",
    "figure",
    # looks
    "tiny",
    "huge",
    "spotted",
    "violet",
    "turquoise",
    # motion
    "drifting",
    "drifts",
    "drift",
    "towards the top",
    "towards the bottom",
    "halts",
    "halting",
    "halt",
    "whirling",
    "whirls",
    "whirl",
    "motionless",
    # relations
    "beneath",
    "overhauling",
    "overhauls",
    "overhaul",
)
"""Words that CLIP's text tower is told the meaning of, as a public CLIP knows them from elsewhere, and that never occur
in a sentence that SSA is trained on. What nobody was ever told, nobody can know."""

HELD_OUT_PHRASES: Final = (
    *CLIP_ONLY_WORDS,
    # from here on: told to nobody, and to be understood from the words around them
    "plus sign",
    "on the left-hand side of",
    "on the right-hand side of",
    "find",
    "namely",
    "every one of the",
)
"""Words and sentence forms that never occur in a sentence that SSA is trained on."""

_HELD_OUT_CHANCE: Final = 0.5
Vocabulary = Literal["trained", "clip", "all"]
"""Which words are said: those of training, those that CLIP knows as well, or held-out phrases too."""


@dataclass
class Wording:
    """Chooses among ways of saying the same, and remembers whether a held-out one was used.

    Attributes:
        rng: Source of chance.
        vocabulary: Which words may be said; of those that training sentences lack, half of the time that there is one.
        used_held_out: Whether one of these was taken.
    """

    rng: np.random.Generator
    vocabulary: Vocabulary = "trained"
    used_held_out: bool = field(default=False, init=False)

    def pick(self, common: Sequence[str], held_out: Sequence[str] = ()) -> str:
        """Choose one phrase."""
        if held_out and self._may_say(held_out) and self.chance(_HELD_OUT_CHANCE):
            self.used_held_out = True
            return held_out[int(self.rng.integers(len(held_out)))]
        return common[int(self.rng.integers(len(common)))]

    def chance(self, probability: float) -> bool:
        """Decide by chance."""
        return bool(self.rng.uniform() < probability)

    def _may_say(self, held_out: Sequence[str]) -> bool:
        if self.vocabulary == "clip":
            return all(phrase in CLIP_ONLY_WORDS for phrase in held_out)
        return self.vocabulary == "all"


@dataclass(frozen=True, slots=True)
class _Synonyms:
    common: tuple[str, ...]
    held_out: tuple[str, ...] = ()


_NOUNS: Final = {
    "circle": _Synonyms(("circle", "circle", "disc"), ("disk",)),
    "square": _Synonyms(("square", "square", "box")),
    "triangle": _Synonyms(("triangle",)),
    "star": _Synonyms(("star",)),
    "heart": _Synonyms(("heart",)),
    "cross": _Synonyms(("cross", "cross", "plus"), ("plus sign",)),
    "diamond": _Synonyms(("diamond",), ("rhombus",)),
    "ring": _Synonyms(("ring", "ring", "hoop")),
    "moon": _Synonyms(("moon", "crescent")),
    "arrow": _Synonyms(("arrow",)),
}
_ANY_NOUN: Final = _Synonyms(("object", "thing", "shape", "one"), ("figure",))
_COLOUR_WORDS: Final = {
    "purple": _Synonyms(("purple",), ("violet",)),
    "cyan": _Synonyms(("cyan", "cyan", "aqua"), ("turquoise",)),
}
_SIZE_WORDS: Final = {
    "small": _Synonyms(("small", "little"), ("tiny",)),
    "medium": _Synonyms(("medium-sized", "mid-sized")),
    "large": _Synonyms(("large", "big"), ("huge",)),
}
_TEXTURE_WORDS: Final = {
    "plain": _Synonyms(("plain", "solid")),
    "striped": _Synonyms(("striped", "stripy")),
    "dotted": _Synonyms(("dotted", "polka-dot"), ("spotted",)),
    "checkered": _Synonyms(("checkered", "chequered")),
}
_TEXTURE_TAILS: Final = {
    "striped": "with stripes",
    "dotted": "with dots",
    "checkered": "with a checkered pattern",
}
_PLURALS: Final = {
    "box": "boxes",
    "cross": "crosses",
    "plus": "pluses",
    "plus sign": "plus signs",
    "rhombus": "rhombuses",
}


def noun_phrase(attributes: Attributes, wording: Wording, *, plural: bool = False) -> str:
    """Say what an object looks like, without an article: "small striped star", "stars with stripes"."""
    noun = _pick(wording, _NOUNS[attributes.shape] if attributes.shape else _ANY_NOUN)
    if plural:
        noun = _PLURALS.get(noun, noun + "s")
    size = [_pick(wording, _SIZE_WORDS[attributes.size])] if attributes.size else []
    colour = [_colour_word(attributes.colour, wording)] if attributes.colour else []
    texture, tails = [], []
    if attributes.texture in _TEXTURE_TAILS and wording.chance(0.3):
        tails.append(_TEXTURE_TAILS[attributes.texture])
    elif attributes.texture:
        texture.append(_pick(wording, _TEXTURE_WORDS[attributes.texture]))
    looks = [*colour, *texture] if wording.chance(0.5) else [*texture, *colour]
    if attributes.colour and not tails and not texture and wording.chance(0.12):
        looks, tails = [], [f"in {colour[0]}"]
    return " ".join([*size, *looks, noun, *tails])


def with_article(phrase: str, wording: Wording, *, definite: bool = False) -> str:
    """Put "the" before a singular phrase, now and then "a" or nothing unless it must be definite."""
    if definite or wording.chance(0.8) or phrase.split()[-1] == "one" or " one " in f" {phrase} ":
        return f"the {phrase}"
    if wording.chance(0.5):
        return phrase
    return f"an {phrase}" if phrase[0] in "aeiou" else f"a {phrase}"


def _pick(wording: Wording, synonyms: _Synonyms) -> str:
    return wording.pick(synonyms.common, synonyms.held_out)


def _colour_word(colour: str, wording: Wording) -> str:
    synonyms = _COLOUR_WORDS.get(colour)
    return _pick(wording, synonyms) if synonyms else colour
