"""Training clips: a stretch of a scene, one sentence about it, and the masks of what it means."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from ssa_stream.data.synthetic.expressions import EXPRESSION_TYPES, Expression, ExpressionType, find_expression
from ssa_stream.data.synthetic.sampling import SceneConfig, sample_scene
from ssa_stream.data.synthetic.scene import Scene
from ssa_stream.data.synthetic.seeds import Split, generator
from ssa_stream.data.synthetic.truth import observe
from ssa_stream.errors import ConfigError

__all__ = ["TYPE_WEIGHTS", "ClipSample", "sample_clip"]

TYPE_WEIGHTS: Final[Mapping[ExpressionType, float]] = {
    "appearance": 0.2,
    "motion": 0.18,
    "appearance_motion": 0.24,
    "relation": 0.15,
    "several": 0.15,
    "no_target": 0.08,
}
"""How often each type of sentence is asked for."""

_CLIP_STREAM: Final = 2
_LATEST_START: Final = 96
_MOTION_TYPES: Final = frozenset({"motion", "appearance_motion"})


@dataclass(frozen=True)
class ClipSample:
    """One clip, one sentence.

    Attributes:
        frames: `(T, H, W, 3)` uint8 RGB.
        expression: The sentence, its type and its held-out flags.
        masks: Visible masks of the sentence's targets, `(n, T, H, W)` bool; `n` is 0 for `no_target`.
        ids: The targets' ids, in the order of the masks.
        scene: The scene the clip shows.
        t0: The scene's frame number of the first frame.
    """

    frames: npt.NDArray[np.uint8]
    expression: Expression
    masks: npt.NDArray[np.bool_]
    ids: tuple[int, ...]
    scene: Scene
    t0: int

    @property
    def text(self) -> str:
        """The sentence."""
        return self.expression.text

    @property
    def type(self) -> ExpressionType:
        """What kind of sentence it is."""
        return self.expression.type


def sample_clip(
    seed: int,
    num_frames: int,
    size: tuple[int, int] = (128, 224),
    split: Split = "train",
    *,
    config: SceneConfig | None = None,
    type_weights: Mapping[ExpressionType, float] = TYPE_WEIGHTS,
) -> ClipSample:
    """Draw a clip with one sentence; equal arguments give the same clip on every machine.

    Args:
        seed: Number of the clip within its split.
        num_frames: Length of the clip; 1 gives an image, without sentences about motion.
        size: Height and width in pixels.
        split: Which range of seeds; `train` has no held-out pair and no held-out phrase.
        config: What scenes are drawn from; its `size` and `num_frames` are replaced by those given here.
        type_weights: How often each type is asked for. A scene that offers no sentence of that type
            gets one of another, so the types come out a little different.

    Raises:
        ConfigError: If a number is out of range, or no type has a positive weight.
    """
    scene_config = replace(config or SceneConfig(), size=size, num_frames=num_frames)
    scene = sample_scene(seed, split=split, config=scene_config)
    rng = generator(scene.seed, _CLIP_STREAM)
    t0 = 0 if rng.uniform() < 0.5 else int(rng.integers(_LATEST_START))
    clip = observe(scene, t0, num_frames)
    for kind in _order(rng, num_frames, type_weights):
        expression = find_expression(clip.truth, rng, kind)
        if expression is not None:
            rows = [scene.ids.index(object_id) for object_id in expression.target_ids]
            return ClipSample(clip.frames, expression, clip.masks[rows], expression.target_ids, scene, t0)
    raise AssertionError("a scene without any sentence")  # something absent can always be named


def _order(
    rng: np.random.Generator, num_frames: int, type_weights: Mapping[ExpressionType, float]
) -> list[ExpressionType]:
    """Draw the order in which types are tried; those of no weight come last, as a last resort."""
    kinds = [kind for kind in EXPRESSION_TYPES if num_frames > 1 or kind not in _MOTION_TYPES]
    weights = np.array([max(0.0, type_weights.get(kind, 0.0)) for kind in kinds])
    if weights.sum() <= 0.0:
        raise ConfigError(f"type_weights are {dict(type_weights)}; expected a positive weight for one of {kinds}")
    given = int(np.count_nonzero(weights))
    order = [kinds[i] for i in rng.choice(len(kinds), given, replace=False, p=weights / weights.sum())]
    return order + [kind for kind in kinds[::-1] if kind not in order]
