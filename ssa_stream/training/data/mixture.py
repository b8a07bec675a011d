"""Which data set each sample of a run comes from: sets in fixed proportions, each gone through again and again."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["Mixture"]

_BLOCK = 1000
_BLOCK_STREAM, _ROUND_STREAM = 113, 111


class Mixture:
    """Samples of several sets, numbered; a pure function of seed and number.

    Each thousand of numbers has the sets in the given proportions, to a thousandth, in a new order. Each set is gone
    through as a whole, in a new order, before a sample comes again.

    Args:
        sizes: Number of samples of each set, at least 1.
        weights: How often a set is drawn, in proportion to the others; at least a thousandth of their sum.
        seed: All chance follows from it.
    """

    def __init__(self, sizes: Sequence[int], weights: Sequence[float], seed: Sequence[int]) -> None:
        self._sizes, self._seed = tuple(sizes), tuple(seed)
        self._counts = _largest_remainders(weights)
        self._orders: dict[int, tuple[int, NDArray[np.int64]]] = {}

    def __getitem__(self, index: int) -> tuple[int, int]:
        """Number of the set, and of the sample within it."""
        block, place = divmod(index, _BLOCK)
        chosen = self._chosen(block)
        number = int(chosen[place])
        drawn = block * int(self._counts[number]) + int((chosen[:place] == number).sum())
        round_number, position = divmod(drawn, self._sizes[number])
        return number, int(self._order(number, round_number)[position])

    def _chosen(self, block: int) -> NDArray[np.int64]:
        sets = np.repeat(np.arange(len(self._sizes)), self._counts)
        return np.random.default_rng([*self._seed, _BLOCK_STREAM, block]).permutation(sets)

    def _order(self, number: int, round_number: int) -> NDArray[np.int64]:
        """The order of a set's samples in a round; the last one is kept, as it is asked for again and again."""
        kept = self._orders.get(number)
        if kept is None or kept[0] != round_number:
            rng = np.random.default_rng([*self._seed, _ROUND_STREAM, number, round_number])
            kept = self._orders[number] = (round_number, rng.permutation(self._sizes[number]))
        return kept[1]


def _largest_remainders(weights: Sequence[float]) -> NDArray[np.int64]:
    """Whole numbers in proportion to the weights; their sum is the length of a block."""
    exact = np.array(weights, np.float64) / sum(weights) * _BLOCK
    counts = np.floor(exact + 1e-6).astype(np.int64)
    counts[np.argsort(counts - exact, kind="stable")[: _BLOCK - int(counts.sum())]] += 1
    return counts
