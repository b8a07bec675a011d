"""Sentences with words in them that mean nothing: a text tower that has seen such keeps to the words that it knows."""

from functools import cache
from typing import Final

import numpy as np
import torch
from torch import Tensor

from ssa_stream.data.synthetic.wording import HELD_OUT_PHRASES
from ssa_stream.model.clip import tokenize

__all__ = ["some_with_unknown_words", "with_unknown_words"]

_START, _END = 49406, 49407
"""CLIP's tokens around a sentence; all smaller ones are words or parts of them."""
_REPLACED: Final = ("the", "a", "an", "all", "both", "that", "which", "of", "to", "and", "then")
"""Words of little meaning, of which a part is replaced by unknown ones."""
_REPLACED_CHANCE, _INSERTED_CHANCE = 0.15, 0.15
_LONGEST = 4


def some_with_unknown_words(tokens: Tensor, part: float, rng: np.random.Generator) -> Tensor:
    """Put unknown words into a part of the sentences and leave the others as they are, `(R, 77)` int64 both."""
    if not part:
        return tokens
    chosen = torch.from_numpy(rng.uniform(size=len(tokens)) < part)
    return torch.where(chosen[:, None], with_unknown_words(tokens, rng)[0], tokens)


def with_unknown_words(tokens: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Put tokens drawn at random into sentences, and in place of words of little meaning.

    No token of a kept-back phrase is drawn: what is told to nobody stays so.

    Args:
        tokens: `(R, 77)` int64.
        rng: Source of chance.
    Returns:
        Tokens, and which position each of them is or stands for, `(R, 77)` int64 each. A token put in stands for the
        one before it. Where there is no room for more, nothing is put in.
    """
    rows = [_row(row, rng) for row in tokens.tolist()]
    return torch.tensor([ids for ids, _ in rows]), torch.tensor([sources for _, sources in rows])


def _row(row: list[int], rng: np.random.Generator) -> tuple[list[int], list[int]]:
    room, length = row.count(0), row.index(_END) + 1
    ids, sources = [_START], [0]
    for position in range(1, length):
        count = _run(rng, _INSERTED_CHANCE, room)
        room -= count
        ids += _draw(rng, count)
        sources += [position - 1] * count
        replaced = _run(rng, _REPLACED_CHANCE, room + 1) if row[position] in _replaceable() else 0
        room -= max(0, replaced - 1)
        ids += _draw(rng, replaced) if replaced else [row[position]]
        sources += [position] * max(1, replaced)
    lacking = len(row) - len(ids)
    return ids + [0] * lacking, sources + list(range(length, length + lacking))


def _run(rng: np.random.Generator, chance: float, room: int) -> int:
    """How many tokens follow each other, none in most cases."""
    return min(room, int(rng.integers(1, _LONGEST + 1))) if rng.uniform() < chance else 0


def _draw(rng: np.random.Generator, count: int) -> list[int]:
    found: list[int] = []
    while len(found) < count:
        drawn = int(rng.integers(1, _START))
        if drawn not in _kept_back():
            found.append(drawn)
    return found


@cache
def _replaceable() -> frozenset[int]:
    return frozenset(int(ids[1]) for ids in tokenize(_REPLACED, 77))


@cache
def _kept_back() -> frozenset[int]:
    return frozenset(tokenize(HELD_OUT_PHRASES, 77).flatten().tolist())
