"""Kept clips whose objects move in times of their own: they rest, stop, start, pause and return where they did not.

Each object is in another frame of the clip, with the queries that lie over it there.

Axes: `T` frames, `N` queries, `G` objects that queries were asked to find.
"""

import numpy as np
import numpy.typing as npt
import torch

from ssa_stream.data.synthetic.retiming import draw_times
from ssa_stream.training.tiny.motion.kept_clips import MotionClip

__all__ = ["query_sources", "retimed"]


def retimed(clip: MotionClip, rng: np.random.Generator) -> MotionClip:
    """Let each object of a clip be where it was at another time.

    A query keeps its number where it can. Numbers that no object has any more get queries that lie over nothing, of the
    frame if it has such ones.

    Args:
        clip: As it was kept.
        rng: Source of chance.
    Returns:
        Another clip of the same length, about the same sentences.
    """
    T, rows = len(clip.queries), list(clip.rows)
    times = np.tile(np.arange(T), (len(clip.truth.scene.objects), 1))
    times[rows] = [draw_times(rng, T) for _ in rows]
    own = times[rows].T  # (T, G)
    covers, query, matched = clip.covers.numpy(), clip.query.numpy(), clip.matched.numpy()
    source = query_sources(clip, own)
    frame_of, number_of = source[..., 0], source[..., 1]
    objects = np.arange(len(rows))
    its_query, its_match = query[own, objects], matched[own, objects]
    is_it = (frame_of[..., None] == own[:, None]) & (number_of[..., None] == its_query[:, None])  # (T, N, G)
    return clip._replace(
        truth=clip.truth.retimed(times),
        queries=clip.queries[torch.from_numpy(frame_of), torch.from_numpy(number_of)],
        moments=clip.moments[torch.from_numpy(frame_of), torch.from_numpy(number_of)],
        query=torch.from_numpy(is_it.argmax(axis=1)),
        matched=torch.from_numpy(its_match & is_it.any(axis=1)),
        covers=torch.from_numpy(covers[frame_of, number_of] & (frame_of[..., None] == own[:, None])),
        location=clip.location[torch.from_numpy(own), torch.from_numpy(objects)],
    )


def query_sources(clip: MotionClip, own: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Where the queries of a clip come from whose objects have those of other frames: frame and number, `(T, N, 2)`.

    Args:
        clip: As it was kept.
        own: Frame whose queries each object has, `(T, G)`; -1 for none.
    """
    covers, query, matched = clip.covers.numpy(), clip.query.numpy(), clip.matched.numpy()
    nothing: npt.NDArray[np.bool_] = np.asarray(~covers.any(axis=-1))  # (T, N)
    nothing[np.nonzero(matched)[0], query[matched]] = False
    return np.stack([_sources(frame, own[frame], covers, query, matched, nothing) for frame in range(len(own))])


def _sources(
    frame: int,
    own: npt.NDArray[np.int64],
    covers: npt.NDArray[np.bool_],
    query: npt.NDArray[np.int64],
    matched: npt.NDArray[np.bool_],
    nothing: npt.NDArray[np.bool_],
) -> npt.NDArray[np.int64]:
    """Where the queries of a frame come from: frame and number of each, `(N, 2)`.

    Args:
        frame: Its number.
        own: Frame that each object is in, `(G,)`; -1 for none.
        covers: Which queries lie over which object, `(T, N, G)`.
        query: Query of each object, `(T, G)`.
        matched: Whether there is one, `(T, G)`.
        nothing: Which queries lie over no object, `(T, N)`.
    """
    shown = np.flatnonzero(own >= 0)
    first = [(own[g], query[own[g], g]) for g in shown if matched[own[g], g]]
    further = [(own[g], n) for g in shown for n in np.flatnonzero(covers[own[g], :, g])]
    found = np.full((covers.shape[1], 2), -1, np.int64)
    waiting = []
    for pair in dict.fromkeys((*first, *further)):
        if found[pair[1], 0] < 0:
            found[pair[1]] = pair
        else:
            waiting.append(pair)
    free = np.flatnonzero(found[:, 0] < 0)
    taken = free[: len(waiting)]
    found[taken] = np.array(waiting[: len(taken)], np.int64).reshape(-1, 2)
    left = free[len(taken) :]
    spare = [(frame, n) for n in np.flatnonzero(nothing[frame])] or list(np.argwhere(nothing)) or first
    for number in left:
        found[number] = (frame, number) if nothing[frame, number] or not spare else spare[number % len(spare)]
    return found
