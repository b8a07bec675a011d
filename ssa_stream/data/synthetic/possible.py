"""Sentences about motion, and all that they may mean in a single picture."""

from dataclasses import replace
from typing import Final, Literal

import numpy as np

from ssa_stream.data.synthetic.expressions import Expression, find_expression
from ssa_stream.data.synthetic.movements import Movement
from ssa_stream.data.synthetic.predicates import Described
from ssa_stream.data.synthetic.scene import Scene
from ssa_stream.data.synthetic.truth import NO, ClipTruth, observe

__all__ = ["find_possible", "names_motion", "possible_ids"]

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
        ids = possible_ids(expression.described, now)
        if kind != "no_target" or (names_motion(expression) and not ids):
            return replace(expression, target_ids=ids)
    return None


def names_motion(expression: Expression) -> bool:
    """Whether what a sentence means depends on how one object moves, which no single picture shows."""
    described = expression.described
    return isinstance(described, Described) and any(isinstance(claim, Movement) for claim in described.claims)


def possible_ids(described: Described, truth: ClipTruth) -> tuple[int, ...]:
    """Ids of the objects that look as a description says, whatever they do; ascending.

    Args:
        described: The description.
        truth: What is seen of the scene; too close to call counts as fitting.
    """
    verdicts = described.attributes.judge(truth)
    fitting = (thing.object_id for thing, verdict in zip(truth.scene.objects, verdicts, strict=True) if verdict != NO)
    return tuple(sorted(fitting))
