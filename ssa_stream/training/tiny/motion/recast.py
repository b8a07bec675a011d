"""Kept clips whose objects move as those of other scenes do: looks and queries stay, locations are of another object.

Of motion a kept clip shows one case in many frames, all of which had to be computed. But what tells motion is where
masks are (`model.extensions.mask_moments`), and masks of other scenes cost next to nothing.

Axes: `T` frames, `N` queries, `G` objects that queries were asked to find, `M` moments.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from ssa_stream.data import sample_scene
from ssa_stream.data.synthetic.truth import ClipTruth, observe
from ssa_stream.model.extensions.mask_moments import NUM_MOMENTS, mask_moments
from ssa_stream.training.tiny.config import MotionStage
from ssa_stream.training.tiny.locations import locations
from ssa_stream.training.tiny.motion.kept_clips import MotionClip, draw_start, scene_config
from ssa_stream.training.tiny.motion.retimed import query_sources

__all__ = ["Mover", "movers", "recast"]

_MOVER_STREAM = 115
_FIRST_MOVER = 1_000_000
"""Added to the numbers of scenes: other scenes than those of the clips."""
_FEWEST_CELLS = 1.5
"""Of stride 4; an object of which less is visible has no query."""
_STRIDE = 4
_OFFSET = torch.tensor([0.0, 0.015, 0.01, 0.05, *(0.15,) * 3, *(0.1,) * (NUM_MOMENTS - 7)])
_JITTER = torch.tensor([0.0, 0.006, 0.004, 0.02, *(0.05,) * 3, *(0.1,) * (NUM_MOMENTS - 7)])
"""How far moments of a query's mask are off throughout, and from frame to frame; standard deviations."""


class Mover(NamedTuple):
    """How one object of some scene moves.

    Attributes:
        truth: What its scene shows.
        row: Its number there.
        moments: Of its visible mask, `(T, M)` float32.
        location: See `locations.locations`, `(T, 3)` float32.
        visible: Whether enough of it is visible for a query, `(T,)` bool.
    """

    truth: ClipTruth
    row: int
    moments: Tensor
    location: Tensor
    visible: Tensor


def movers(stage: MotionStage, seed: int, number: int) -> list[Mover]:
    """All objects of a scene that are ever visible; equal arguments give the same.

    Args:
        stage: Sizes of scenes and length of clips.
        seed: Seed of the run.
        number: Number of the scene.
    """
    rng = np.random.default_rng([seed, _MOVER_STREAM, number])
    scene = sample_scene(stage.data.first_seed + _FIRST_MOVER + number, split="train", config=scene_config(stage))
    seen = observe(scene, draw_start(rng), stage.kept_frames)
    masks = torch.from_numpy(seen.masks).to(torch.uint8)  # (G, T, H, W)
    shares = F.avg_pool2d(masks.float(), _STRIDE)
    visible = shares.sum(dim=(-2, -1)) >= _FEWEST_CELLS  # (G, T)
    moments, location = mask_moments((2 * shares - 1) * 12), locations(masks)
    return [
        Mover(seen.truth, row, moments[row], location[row], visible[row])
        for row in range(len(scene.objects))
        if visible[row].any()
    ]


def recast(clip: MotionClip, cast: Sequence[Mover], rng: np.random.Generator) -> MotionClip:
    """Let each object of a clip move as another one does.

    Args:
        clip: As it was kept, with moments.
        cast: What there is to choose from.
        rng: Source of chance.
    Returns:
        Another clip of the same length, about the same sentences.
    """
    chosen = [cast[int(i)] for i in rng.integers(len(cast), size=len(clip.truth.scene.objects))]
    new = [chosen[row] for row in clip.rows]
    own = _own_frames(clip, torch.stack([mover.visible for mover in new], dim=1).numpy())
    source = query_sources(clip, own)  # (T, N, 2)
    frame_of, number_of = torch.from_numpy(source[..., 0]), torch.from_numpy(source[..., 1])
    in_time = torch.from_numpy(own)[:, None] == frame_of[..., None]  # (T, N, G)
    covers = clip.covers[frame_of, number_of] & in_time
    is_it = (clip.query[frame_of] == number_of[..., None]) & clip.matched[frame_of] & in_time
    over = covers | is_it
    moments = torch.stack([mover.moments for mover in new], dim=1)  # (T, G, M)
    of_query = moments.gather(1, over.int().argmax(dim=-1)[..., None].expand(-1, -1, moments.shape[-1]))
    of_query = of_query + _noise(rng, (1, *of_query.shape[1:])) * _OFFSET + _noise(rng, of_query.shape) * _JITTER
    return clip._replace(
        truth=_truth(clip.truth, chosen),
        queries=clip.queries[frame_of, number_of],
        moments=torch.where(over.any(dim=-1, keepdim=True), of_query, clip.moments[frame_of, number_of]),
        query=is_it.int().argmax(dim=1),
        matched=is_it.any(dim=1),
        covers=covers,
        location=torch.stack([mover.location for mover in new], dim=1),
    )


def _truth(truth: ClipTruth, chosen: Sequence[Mover]) -> ClipTruth:
    """What the clip's scene would show; that its objects may lie over each other now, nobody asks."""
    fields = ("poses", "visible_px", "in_frame", "whole_px")
    stacked = (np.stack([getattr(mover.truth, name)[mover.row] for mover in chosen]) for name in fields)
    return ClipTruth(truth.scene, truth.t0, *stacked)


def _own_frames(clip: MotionClip, visible: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Which kept frame each object's queries come from, the nearest with such, `(T, G)`; -1 where it is not seen."""
    found = (clip.covers.any(dim=1) | clip.matched).numpy()  # (T, G)
    frames = np.arange(len(found))
    distance = np.abs(frames[:, None] - frames)[..., None] + np.where(found, 0, len(found))[None]  # (T, T', G)
    return np.where(visible & found.any(axis=0), distance.argmin(axis=1), -1)


def _noise(rng: np.random.Generator, shape: tuple[int, ...]) -> Tensor:
    return torch.from_numpy(rng.standard_normal(shape, np.float32))
