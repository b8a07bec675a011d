"""Sentences about motion said of a single picture, and all that they may mean there."""

from dataclasses import replace
from typing import Final, Literal

import numpy as np

from ssa_stream.data.synthetic.expressions import Expression, find_expression
from ssa_stream.data.synthetic.movements import Movement
from ssa_stream.data.synthetic.predicates import Described
from ssa_stream.data.synthetic.scene import Scene
from ssa_stream.data.synthetic.truth import NO, observe

__all__ = ["find_possible"]

_CLIP_FRAMES: Final = 8
_TRIES: Final = 8


def find_possible(
    scene: Scene, t: int, rng: np.random.Generator, kind: Literal["motion", "appearance_motion", "no_target"]
) -> Expression | None:
    """Make a sentence about the motion that begins in a frame; its targets are all objects that this frame leaves open.

    Args:
        scene: The scene.
        t: The frame.
        rng: Source of chance.
        kind: Type of sentence; of `no_target` only those that nothing in the frame fits by its looks.
    Returns:
        The sentence, with every object of the frame that looks as it says; None if there is nothing to say.
    """
    later, now = observe(scene, t, _CLIP_FRAMES).truth, observe(scene, t, 1).truth
    for _ in range(_TRIES):
        expression = find_expression(later, rng, kind)
        if expression is None or not isinstance(expression.described, Described):
            return None
        verdicts = expression.described.attributes.judge(now)
        ids = tuple(thing.object_id for thing, verdict in zip(scene.objects, verdicts, strict=True) if verdict != NO)
        names_motion = any(isinstance(claim, Movement) for claim in expression.described.claims)
        if kind != "no_target" or (names_motion and not ids):
            return replace(expression, target_ids=tuple(sorted(ids)))
    return None
