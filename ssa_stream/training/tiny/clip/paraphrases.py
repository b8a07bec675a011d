"""Sentences said twice in different words: what teaches the text tower all that sentences can mean."""

from typing import Final, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ssa_stream.data import SceneConfig
from ssa_stream.data.synthetic.expressions import EXPRESSION_TYPES, find_expression
from ssa_stream.data.synthetic.grammar import sentence
from ssa_stream.data.synthetic.predicates import Described, Either
from ssa_stream.data.synthetic.sampling import sample_scene
from ssa_stream.data.synthetic.seeds import Split
from ssa_stream.data.synthetic.truth import observe
from ssa_stream.data.synthetic.wording import Vocabulary, Wording
from ssa_stream.model.clip import tokenize

__all__ = ["ParaphrasePool"]

_POOL_STREAM = 106
_FRAMES = 8
_SIZE = (64, 112)
_VOCABULARIES: Final[tuple[Vocabulary, Vocabulary]] = ("trained", "clip")


class _Meaning(NamedTuple):
    """What can be said: its description, and how many objects it is about."""

    described: Described | Either
    quantity: int


class ParaphrasePool:
    """Meanings of sentences about scenes, to be put into words anew for every batch.

    Pairs come scene by scene, so that those to be told apart name the same things and differ in what these do, where
    they are, or how many. Half of the sentences use words that only CLIP is told.

    Args:
        num_scenes: Scenes whose sentences are gathered; takes some 30 ms each.
        seed: Seed of the run.
        split: Of the generator.
    """

    def __init__(self, num_scenes: int, seed: int, split: Split = "train") -> None:
        self._scenes = [found for number in range(num_scenes) if (found := _meanings(number, seed, split))]

    def pairs(
        self,
        count: int,
        rng: np.random.Generator,
        context_length: int,
        vocabularies: tuple[Vocabulary, Vocabulary] = _VOCABULARIES,
    ) -> tuple[Tensor, Tensor]:
        """Draw pairs of sentences.

        Args:
            count: Number of pairs.
            rng: Source of chance.
            context_length: Of the text tower.
            vocabularies: Of the first and of the second of a pair.
        Returns:
            Tokens, `(count, 2, context_length)`; and which pairs mean the same, `(count, count)` bool.
        """
        chosen: list[_Meaning] = []
        while len(chosen) < count:
            chosen += self._scenes[int(rng.integers(len(self._scenes)))]
        chosen = chosen[:count]
        texts = [
            sentence(meaning.described, Wording(rng, vocabulary), count=meaning.quantity)
            for meaning in chosen
            for vocabulary in vocabularies
        ]
        numbers: dict[str, int] = {}
        labels = torch.tensor([numbers.setdefault(repr(meaning), len(numbers)) for meaning in chosen])
        return tokenize(texts, context_length).view(count, 2, context_length), labels[:, None] == labels


def _meanings(number: int, seed: int, split: Split) -> list[_Meaning]:
    """What can be said about one scene, at most one meaning of each type twice."""
    rng = np.random.default_rng([seed, _POOL_STREAM, number])
    scene = sample_scene(number, split=split, config=SceneConfig(size=_SIZE, num_frames=_FRAMES))
    truth = observe(scene, 0, _FRAMES).truth
    found: dict[str, _Meaning] = {}
    for kind in EXPRESSION_TYPES * 2:
        expression = find_expression(truth, rng, kind)
        if expression is not None:
            meaning = _Meaning(expression.described, max(1, len(expression.target_ids)))
            found.setdefault(repr(meaning), meaning)
    return list(found.values())
