"""All words that sentences and captions are made of: what a network that was trained on them can know."""

import re
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Final

import numpy as np

from ssa_stream.data.synthetic.appearance import COLOURS, TEXTURES
from ssa_stream.data.synthetic.background import BACKGROUNDS, Background
from ssa_stream.data.synthetic.captions import caption_of
from ssa_stream.data.synthetic.grammar import sentence
from ssa_stream.data.synthetic.movement_sentences import MOVEMENT_CLAIMS
from ssa_stream.data.synthetic.predicates import Attributes, Described, Predicate
from ssa_stream.data.synthetic.relations import SIDES, SUPERLATIVES, Approaches, Beside, Extreme, Nearest, Overtakes
from ssa_stream.data.synthetic.shapes import SHAPES
from ssa_stream.data.synthetic.wording import Vocabulary, Wording

__all__ = ["known_words"]

_WORD: Final = re.compile(r"[a-z]+(?:-[a-z]+)*")
_TIMES: Final = 40
"""How often each thing is said in other words. All words have come long before; a test compares with twice as many."""


class _Listening(Wording):
    """Chooses words by chance, and hears those that it could have chosen, too."""

    def __init__(self, seed: int, vocabulary: Vocabulary) -> None:
        super().__init__(np.random.default_rng(seed), vocabulary)
        self.heard: set[str] = set()

    def pick(self, common: Sequence[str], held_out: Sequence[str] = ()) -> str:
        """Choose one phrase."""
        self.heard.update(common, held_out if held_out and self._may_say(held_out) else ())
        return super().pick(common, held_out)


def known_words(vocabulary: Vocabulary = "clip", *, seed: int = 0, times: int = _TIMES) -> frozenset[str]:
    """The words of all sentences and captions that can be made, in lower case; `left-hand` is one word.

    Args:
        vocabulary: Which words may be said.
        seed: Of the choice of words.
        times: How often each thing is said.
    """
    wording = _Listening(seed, vocabulary)
    said = {text for _ in range(times) for text in _all_said(wording)}
    phrases = (re.sub(r"\{[a-z]+\}", "", text) for text in said | wording.heard)  # places for looks in captions
    return frozenset(word for phrase in phrases for word in _WORD.findall(phrase.lower()))


def _all_said(wording: Wording) -> Iterator[str]:
    """Say everything once: all looks, all that can be claimed of one object and of several, all backgrounds."""
    looks = [Attributes(), *(Attributes(shape=shape) for shape in SHAPES)]
    looks += [Attributes(colour=colour) for colour in COLOURS]
    looks += [Attributes(texture=texture) for texture in TEXTURES]
    looks += [Attributes(size=size) for size in ("small", "medium", "large")]
    for attributes, count in product(looks, range(7)):
        yield sentence(Described(attributes), wording, count=count)
    for claim, count in product((*MOVEMENT_CLAIMS, *_relations()), (1, 2)):
        yield sentence(Described(Attributes(), (claim,)), wording, count=count)
    for kind, tone in product(BACKGROUNDS, ((0, 0, 0), (255, 255, 255))):
        yield caption_of("object", Background(kind, tone, tone, 0), wording)


def _relations() -> list[Predicate]:
    one = Attributes()
    return [
        *(Beside(side, one) for side in SIDES),
        *(Extreme(kind, one) for kind in SUPERLATIVES),
        Nearest(one, one),
        Nearest(one, one, farthest=True),
        Overtakes(one),
        Approaches(one),
    ]
