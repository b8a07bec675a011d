"""Video with sentences and masks: a synthetic generator and the MeViS format on disk."""

from ssa_stream.data.synthetic.demo import DEMO_SENTENCES, demo_scene
from ssa_stream.data.synthetic.render import RenderedFrame, render
from ssa_stream.data.synthetic.sampling import SceneConfig, sample_scene
from ssa_stream.data.synthetic.scene import Scene, SceneObject

__all__ = [
    "DEMO_SENTENCES",
    "RenderedFrame",
    "Scene",
    "SceneConfig",
    "SceneObject",
    "demo_scene",
    "render",
    "sample_scene",
]
