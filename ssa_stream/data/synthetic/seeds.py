"""Random streams: every random choice of the generator comes from a seed and a named stream.

A scene's seed is `split base + index`, so the seeds of two splits can never meet.
"""

from typing import Final, Literal

import numpy as np

from ssa_stream.errors import ConfigError

__all__ = ["SEEDS_PER_SPLIT", "SPLITS", "Split", "generator", "scene_seed"]

Split = Literal["train", "val", "test", "demo"]

SPLITS: Final[tuple[Split, ...]] = ("train", "val", "test", "demo")
SEEDS_PER_SPLIT: Final = 2**40


def scene_seed(split: Split, index: int) -> int:
    """Give the seed of one scene of a split; the splits' ranges are disjoint.

    Args:
        split: One of `SPLITS`.
        index: Number of the scene within its split, in `[0, SEEDS_PER_SPLIT)`.

    Raises:
        ConfigError: If the split is unknown or the index is out of range.
    """
    if split not in SPLITS:
        raise ConfigError(f"split {split!r} is unknown; expected one of {', '.join(SPLITS)}")
    if not 0 <= index < SEEDS_PER_SPLIT:
        raise ConfigError(f"seed {index} is out of range; expected 0 <= seed < 2**40")
    return SPLITS.index(split) * SEEDS_PER_SPLIT + int(index)


def generator(seed: int, stream: int) -> np.random.Generator:
    """Give the random generator of one stream of a seed; equal arguments give equal draws everywhere."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, stream])))
