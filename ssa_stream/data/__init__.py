"""Video with sentences and masks: a synthetic generator, and the MeViS format on disk."""

from ssa_stream.data.kinds import KINDS, DataKind, DataPlace, open_data, parse_data
from ssa_stream.data.mevis import MevisReader
from ssa_stream.data.mevis_writer import write_mevis
from ssa_stream.data.referring import ReferringData, ReferringExpression, ReferringVideo
from ssa_stream.data.synthetic.appearance import HELD_OUT_PAIRS
from ssa_stream.data.synthetic.captions import (
    ATTRIBUTES,
    CaptionedObject,
    CaptionedPicture,
    captioned_picture,
    crop_object,
    sample_captioned_picture,
)
from ssa_stream.data.synthetic.clips import TYPE_WEIGHTS, ClipSample, sample_clip
from ssa_stream.data.synthetic.demo import DEMO_SENTENCES, demo_scene
from ssa_stream.data.synthetic.expressions import EXPRESSION_TYPES, Expression, ExpressionType, describe, expressions
from ssa_stream.data.synthetic.render import RenderedFrame, render
from ssa_stream.data.synthetic.sampling import SceneConfig, sample_scene
from ssa_stream.data.synthetic.scene import Scene, SceneObject
from ssa_stream.data.synthetic.seeds import SPLITS, Split
from ssa_stream.data.synthetic.wording import CLIP_ONLY_WORDS, HELD_OUT_PHRASES

__all__ = [
    "ATTRIBUTES",
    "CLIP_ONLY_WORDS",
    "DEMO_SENTENCES",
    "EXPRESSION_TYPES",
    "HELD_OUT_PAIRS",
    "HELD_OUT_PHRASES",
    "KINDS",
    "SPLITS",
    "TYPE_WEIGHTS",
    "CaptionedObject",
    "CaptionedPicture",
    "ClipSample",
    "DataKind",
    "DataPlace",
    "Expression",
    "ExpressionType",
    "MevisReader",
    "ReferringData",
    "ReferringExpression",
    "ReferringVideo",
    "RenderedFrame",
    "Scene",
    "SceneConfig",
    "SceneObject",
    "Split",
    "captioned_picture",
    "crop_object",
    "demo_scene",
    "describe",
    "expressions",
    "open_data",
    "parse_data",
    "render",
    "sample_captioned_picture",
    "sample_clip",
    "sample_scene",
    "write_mevis",
]
