"""The seed of each step's own chance: dropout, points."""

import numpy as np

__all__ = ["step_seed"]


def step_seed(seed: int, stage: int, step: int, rank: int) -> int:
    """Seed for torch at the beginning of a step, so that a resumed run needs no generator's state.

    Args:
        seed: Of the run.
        stage: Number of the stage.
        step: Steps done in the stage.
        rank: Number of the device.
    """
    return int(np.random.SeedSequence([seed, stage, step, rank]).generate_state(1, np.uint64)[0])
