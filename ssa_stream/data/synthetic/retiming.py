"""Times of an object's own: how one may go through the frames of a clip, other than one after the other."""

from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["draw_times"]

_PACES: Final[tuple[tuple[float, tuple[int, ...]], ...]] = (
    (0.40, (1,)),  # as it was
    (0.10, (0,)),
    (0.16, (1, 0)),
    (0.16, (0, 1)),
    (0.10, (1, 0, 1)),
    (0.08, (1, -1)),
)
"""How often, and how an object goes through its frames: on, not at all or back, one after the other."""
_BACKWARDS_CHANCE = 0.5
_SHORTEST_SHARE = 0.25
"""Of a clip, that one pace lasts where there are several."""


def draw_times(rng: np.random.Generator, num_frames: int) -> npt.NDArray[np.int64]:
    """Draw an object's frame at each frame of a clip, `(T,)`; neighbours are the same or neighbours.

    Args:
        rng: Source of chance.
        num_frames: `T`.
    """
    chances = np.array([chance for chance, _ in _PACES])
    paces = _PACES[int(rng.choice(len(_PACES), p=chances / chances.sum()))][1]
    shares = _SHORTEST_SHARE + (1 - len(paces) * _SHORTEST_SHARE) * rng.dirichlet(np.ones(len(paces)))
    ends = np.round(np.cumsum(shares) * (num_frames - 1)).astype(int)
    pace = np.array(paces)[np.searchsorted(ends, np.arange(num_frames - 1), side="right")]
    path: npt.NDArray[np.int64] = np.concatenate([[0], np.cumsum(pace)])
    path = path - path.min()
    path = path + int(rng.integers(num_frames - path.max()))
    return num_frames - 1 - path if rng.uniform() < _BACKWARDS_CHANCE else path
