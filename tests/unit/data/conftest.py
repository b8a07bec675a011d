"""Scenes built by hand."""

from collections.abc import Callable

import pytest

from ssa_stream.data.synthetic.appearance import COLOURS, Appearance
from ssa_stream.data.synthetic.background import Background
from ssa_stream.data.synthetic.motion import MotionProgram
from ssa_stream.data.synthetic.scene import Scene, SceneObject

SceneMaker = Callable[..., Scene]


@pytest.fixture
def make_scene() -> SceneMaker:
    """Build a scene of (colour, shape, motion) triples at 10 fps, 96x160 pixels."""

    def make(*things: tuple[str, str, MotionProgram], radius: float = 0.1) -> Scene:
        objects = tuple(
            SceneObject(
                number,
                Appearance(shape, colour, "plain", "medium", radius, COLOURS[colour]),
                motion,
                float(number),
            )
            for number, (colour, shape, motion) in enumerate(things, start=1)
        )
        return Scene(0, "train", 160, 96, 10.0, Background("flat", (120, 120, 120), (130, 130, 130), 0), objects)

    return make
