"""Sentences about a clip with the exact objects they mean."""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from ssa_stream.data.synthetic.appearance import HELD_OUT_PAIRS
from ssa_stream.data.synthetic.candidates import propose
from ssa_stream.data.synthetic.demo import DEMO_SENTENCES
from ssa_stream.data.synthetic.grammar import sentence
from ssa_stream.data.synthetic.predicates import Attributes, Described, Either
from ssa_stream.data.synthetic.scene import Scene
from ssa_stream.data.synthetic.seeds import generator
from ssa_stream.data.synthetic.truth import UNSURE, YES, ClipTruth, observe
from ssa_stream.data.synthetic.wording import Wording

__all__ = [
    "EXPRESSION_TYPES",
    "Expression",
    "ExpressionType",
    "describe",
    "expressions",
    "find_expression",
    "find_expressions",
]

ExpressionType = Literal["appearance", "motion", "appearance_motion", "relation", "several", "no_target"]
EXPRESSION_TYPES: Final[tuple[ExpressionType, ...]] = (
    "appearance",
    "motion",
    "appearance_motion",
    "relation",
    "several",
    "no_target",
)
_HELD_OUT_WORDING: Final = 0.45
_TRIES: Final = 8
_DESCRIBE_STREAM: Final = 3
_LOOK_S: Final = 1.5


@dataclass(frozen=True, slots=True)
class Expression:
    """One sentence about a clip.

    Attributes:
        text: The sentence.
        type: What kind of sentence; `several` has two targets or more, `no_target` has none.
        target_ids: Ids of the objects it means, ascending.
        described: What it says, in a form that can be judged again.
        held_out_pair: Whether a target is, or the text names, a held-out colour and shape pair.
        held_out_phrasing: Whether the text uses a held-out phrase.
    """

    text: str
    type: ExpressionType
    target_ids: tuple[int, ...]
    described: Described | Either
    held_out_pair: bool
    held_out_phrasing: bool


def expressions(
    scene: Scene, t0: int, num_frames: int, rng: np.random.Generator, *, per_type: int = 2
) -> list[Expression]:
    """Make sentences about one clip of a scene.

    Args:
        scene: The scene; in its `train` split no held-out phrase is used.
        t0: First frame of the clip.
        num_frames: Number of frames; motion is judged by what these show.
        rng: Source of chance.
        per_type: Most sentences of each type; a clip may have none of a type.

    Returns:
        Sentences with distinct texts, by type in the order of `EXPRESSION_TYPES`.

    Raises:
        ConfigError: If the frame range is empty or negative.
    """
    return find_expressions(observe(scene, t0, num_frames).truth, rng, per_type=per_type)


def find_expressions(truth: ClipTruth, rng: np.random.Generator, *, per_type: int = 2) -> list[Expression]:
    """Make sentences about a clip already observed; see `expressions`."""
    found: dict[str, Expression] = {}
    for kind in EXPRESSION_TYPES:
        fresh: dict[str, Expression] = {}
        for _ in range(per_type):
            expression = find_expression(truth, rng, kind)
            if expression is None:
                break
            fresh.setdefault(expression.text, expression)
        found |= {text: expression for text, expression in fresh.items() if text not in found}
    return list(found.values())


def find_expression(truth: ClipTruth, rng: np.random.Generator, kind: ExpressionType) -> Expression | None:
    """Make one sentence of a type, None if a few tries find no unambiguous one."""
    for _ in range(_TRIES):
        described = propose(truth, rng, kind)
        expression = None if described is None else _express(described, truth, rng, kind)
        if expression is not None:
            return expression
    return None


def describe(scene: Scene) -> list[str]:
    """Give sentences that fit a scene: those about motion fit its first second and a half at least."""
    if scene.split == "demo":
        return list(DEMO_SENTENCES)
    rng = generator(scene.seed, _DESCRIBE_STREAM)
    found = expressions(scene, 0, max(1, round(_LOOK_S * scene.fps)), rng)
    return [expression.text for expression in found if expression.target_ids]


def _express(
    described: Described | Either, truth: ClipTruth, rng: np.random.Generator, kind: ExpressionType
) -> Expression | None:
    verdicts = described.judge(truth)
    matches = np.flatnonzero(verdicts == YES)
    fits = {"no_target": len(matches) == 0, "several": len(matches) >= 2}.get(kind, len(matches) == 1)
    names_pair = any(_is_held_out(attributes) for attributes in _named(described))
    is_training = truth.scene.split == "train"
    if (verdicts == UNSURE).any() or not fits or (is_training and names_pair):
        return None
    may_hold_out = truth.scene.split in ("val", "test")
    wording = Wording(rng, "all" if may_hold_out and rng.uniform() < _HELD_OUT_WORDING else "trained")
    count = len(matches) if kind != "no_target" else int(rng.uniform() < 0.7 or _must_be_one(described))
    text = sentence(described, wording, count=count)
    targets = [truth.scene.objects[index] for index in matches]
    shows_pair = any(thing.appearance.is_held_out for thing in targets)
    ids = tuple(sorted(thing.object_id for thing in targets))
    return Expression(text, kind, ids, described, names_pair or shows_pair, wording.used_held_out)


def _must_be_one(described: Described | Either) -> bool:
    return isinstance(described, Described) and any(hasattr(claim, "among") for claim in described.claims)


def _named(described: Described | Either) -> list[Attributes]:
    """Give all looks that the sentence names, of targets and of anchors."""
    if isinstance(described, Either):
        return [*_named(described.first), *_named(described.second)]
    anchors = [getattr(claim, "anchor", None) for claim in described.claims]
    return [described.attributes, *(anchor for anchor in anchors if anchor is not None)]


def _is_held_out(attributes: Attributes) -> bool:
    return (attributes.colour, attributes.shape) in HELD_OUT_PAIRS
