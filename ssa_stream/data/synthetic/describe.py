"""Example sentences for a scene, to offer to somebody who looks at it."""

from typing import Final

from ssa_stream.data.synthetic.demo import DEMO_SENTENCES
from ssa_stream.data.synthetic.expressions import expressions
from ssa_stream.data.synthetic.scene import Scene
from ssa_stream.data.synthetic.seeds import generator

__all__ = ["describe"]

_DESCRIBE_STREAM: Final = 3
_LOOK_S: Final = 1.5


def describe(scene: Scene) -> list[str]:
    """Give sentences that fit a scene: those about motion fit its first second and a half at least."""
    if scene.split == "demo":
        return list(DEMO_SENTENCES)
    rng = generator(scene.seed, _DESCRIBE_STREAM)
    found = expressions(scene, 0, max(1, round(_LOOK_S * scene.fps)), rng)
    return [expression.text for expression in found if expression.target_ids]
