"""What each part of the package offers: `__all__` is there, holds, and changes only on purpose."""

import ast
import importlib

import pytest

from tests.support.checkout import ROOT
from tests.support.import_rules import module_name, source_files

# What users may rely on. Adding a name is a line here; renaming or removing one breaks somebody.
# A part or module is pinned from the day its names are meant to stay.
PINNED = {
    "ssa_stream.checkpoints": {
        "CheckpointInfo",
        "VerifyReport",
        "clip_tags",
        "download_clip",
        "export_reference",
        "import_reference",
        "load_checkpoint",
        "read_clip",
        "read_info",
        "save_checkpoint",
        "verify_folder",
    },
    "ssa_stream.configs": {
        "config_names",
        "load_config",
    },
    "ssa_stream.data": {
        "CaptionedImage",
        "ClipSample",
        "DEMO_SENTENCES",
        "EXPRESSION_TYPES",
        "Expression",
        "ExpressionType",
        "HELD_OUT_PAIRS",
        "HELD_OUT_PHRASES",
        "MevisExpression",
        "MevisReader",
        "MevisVideo",
        "RenderedFrame",
        "SPLITS",
        "Scene",
        "SceneConfig",
        "SceneObject",
        "Split",
        "TYPE_WEIGHTS",
        "demo_scene",
        "describe",
        "expressions",
        "object_crop",
        "render",
        "sample_clip",
        "sample_object_crop",
        "sample_scene",
        "sample_scene_image",
        "write_mevis",
    },
    "ssa_stream.errors": {
        "CheckpointError",
        "ConfigError",
        "MessageError",
        "MissingExtraError",
        "SessionStateError",
        "ShapeError",
        "SinkError",
        "SourceError",
        "SsaStreamError",
        "TransportError",
    },
    "ssa_stream.evaluation": {
        "ClipData",
        "ClipPrediction",
        "ClipResult",
        "Control",
        "EvaluationConfig",
        "EvaluationData",
        "EvaluationMode",
        "EvaluationReport",
        "GroupFigures",
        "MevisData",
        "ObjectSamples",
        "Predictor",
        "Question",
        "RunSettings",
        "ScoredClip",
        "Sentence",
        "SingleObjectGroup",
        "SingleObjectReport",
        "StreamingScore",
        "Timing",
        "VideoEntry",
        "VideoPlan",
        "evaluate",
        "evaluate_single_object",
        "evaluation_mode",
        "plan_questions",
        "predictor_for",
        "report_from_json",
        "report_to_json",
        "sample_objects",
        "score_clips",
        "summarise",
        "summarise_objects",
    },
    "ssa_stream.metrics": {
        "ClipKey",
        "FrameScores",
        "IdentityCounts",
        "JAndF",
        "Masks",
        "PRECISION_THRESHOLDS",
        "Presence",
        "SingleObjectFigures",
        "SingleObjectScorer",
        "boundary_accuracy",
        "boundary_radius_px",
        "count_identity",
        "match_tracks",
        "mean_scores",
        "presence",
        "region_similarity",
        "score_clip",
        "score_frames",
        "shown_masks",
        "streaming_j_and_f",
    },
    "ssa_stream.model": {
        "CarriedPool",
        "ClipConfig",
        "ClipMasks",
        "ClipOutput",
        "FeatureMaps",
        "FrameDecoderConfig",
        "FrameQueries",
        "MaskSizes",
        "PixelDecoderConfig",
        "SSA",
        "SsaConfig",
        "TextFeatures",
        "VideoDecoderConfig",
        "WindowOutput",
        "align_chain",
        "empty_carry",
        "fold",
        "network_size",
        "resize_frame",
        "segment_clip",
        "select_queries",
        "to_input",
    },
    "ssa_stream.sinks": {
        "FrameTimes",
        "JsonLinesSink",
        "MaskRecord",
        "OverlayVideoSink",
        "SINK_GROUP",
        "Sink",
        "SinkFrame",
        "SinkGroup",
        "SinkOptions",
        "known_sinks",
        "open_sink",
        "read_json_lines",
    },
    "ssa_stream.sources": {
        "CameraSource",
        "FileSource",
        "Frame",
        "Freshest",
        "NetworkSource",
        "Prefetch",
        "Realtime",
        "SOURCE_GROUP",
        "Source",
        "SourceInfo",
        "SourceOptions",
        "SyntheticSource",
        "SyntheticSpec",
        "known_schemes",
        "list_cameras",
        "open_source",
        "redact",
    },
    "ssa_stream.streaming": {
        "MaskResult",
        "Prompt",
        "PromptAck",
        "ReferSession",
        "SessionConfig",
        "SessionState",
        "TrackConfig",
        "TrackMask",
        "UNCONFIRMED_ID",
    },
    "ssa_stream.streaming.results": {
        "MaskResult",
        "TrackMask",
    },
    "ssa_stream.training": {
        "Observer",
        "StepReport",
        "TrainConfig",
        "Validation",
        "train",
    },
    "ssa_stream.viz": {
        "LiveWindow",
        "contact_sheet",
        "draw_overlay",
        "has_display",
        "prompt_colours",
        "track_colour",
    },
}

SOURCES = {module_name(path.relative_to(ROOT)): path for path in source_files(ROOT)}
PARTS = sorted(name for name, path in SOURCES.items() if path.name == "__init__.py" and name.count(".") == 1)


@pytest.mark.parametrize("name", sorted(set(PARTS) | set(PINNED)))
def test_public_part_all_names_exist(name: str) -> None:
    """`__all__` is there, sorted out, and every name in it can be had."""
    module = importlib.import_module(name)
    names = getattr(module, "__all__", None)
    assert names is not None, f"{name} has no __all__"
    assert len(set(names)) == len(names)
    assert [public for public in names if not hasattr(module, public)] == []
    assert [public for public in names if public.startswith("_")] == []


@pytest.mark.parametrize("name", PINNED)
def test_pinned_names_are_what_is_public(name: str) -> None:
    """A name that users rely on does not vanish by accident, and none appears by accident."""
    assert set(importlib.import_module(name).__all__) == PINNED[name]


def test_top_package_offers_its_version_only() -> None:
    """Importing the package costs nothing."""
    tree = ast.parse(SOURCES["ssa_stream"].read_text(encoding="utf-8"))
    assert [type(node) for node in tree.body] == [ast.Expr, ast.Assign]
    assert isinstance(importlib.import_module("ssa_stream").__version__, str)
