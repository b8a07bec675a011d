"""What an evaluation finds, as it stands in the JSON file; every field is described in docs/evaluation.md.

Shares are 0..1; None (null) where nothing was measured. New fields have defaults, and no field changes its type.
"""

import math
from typing import Literal

import msgspec

from ssa_stream.errors import ConfigError
from ssa_stream.evaluation.config import Control, EvaluationConfig, EvaluationMode
from ssa_stream.input_warnings import InputWarning
from ssa_stream.metrics import SingleObjectFigures
from ssa_stream.texts import encodable_values

__all__ = [
    "ClipResult",
    "EvaluationReport",
    "GroupFigures",
    "RunSettings",
    "SingleObjectGroup",
    "SingleObjectReport",
    "StreamingScore",
    "Timing",
    "report_from_json",
    "report_to_json",
]


class RunSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What was run on what; `half_life_frames` is None for infinity."""

    mode: EvaluationMode
    control: Control
    model: str
    data: str
    fps: float
    limit: int | None
    window: int
    half_life_frames: float | None
    lookahead: int
    selection: str
    threshold: float
    short_edge_px: int | None
    model_ms: float | None

    @classmethod
    def of(cls, mode: EvaluationMode, config: EvaluationConfig, *, model: str, data: str, fps: float) -> "RunSettings":
        """Collect them."""
        session = config.session
        return cls(
            mode=mode,
            control=config.control,
            model=model,
            data=data,
            fps=fps,
            limit=config.limit,
            window=session.window,
            half_life_frames=None if math.isinf(session.half_life_frames) else session.half_life_frames,
            lookahead=session.lookahead,
            selection=session.mode,
            threshold=session.threshold,
            short_edge_px=session.short_edge_px,
            model_ms=config.model_ms,
        )


class StreamingScore(msgspec.Struct, frozen=True, kw_only=True):
    """Streaming J&F at one offset, sJ&F(eta, fps)."""

    eta: float
    j: float
    f: float
    j_and_f: float


class ClipResult(msgspec.Struct, frozen=True, kw_only=True):
    """One sentence about one video."""

    video: str
    expression_id: str
    sentence: str
    asked: str
    type: str | None
    held_out_pair: bool | None
    held_out_phrasing: bool | None
    frames: int
    frames_processed: int
    seconds: float
    j: float
    f: float
    j_and_f: float
    presence_frames: float
    target_expected: bool
    target_found: bool
    id_switches: int | None = None
    occlusions: int | None = None
    occlusions_kept: int | None = None
    streaming: tuple[StreamingScore, ...] = ()
    model_ms: float | None = None
    prompt_to_mask_ms: float | None = None


class GroupFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of a group of clips."""

    name: str
    expressions: int
    j: float
    f: float
    j_and_f: float
    presence_frames: float
    presence_clips: float
    no_target_accuracy: float | None
    target_accuracy: float | None
    id_switches_per_minute: float | None = None
    occlusions: int | None = None
    same_id_after_occlusion: float | None = None
    streaming: tuple[StreamingScore, ...] = ()


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """Time in `realtime` mode; medians over clips."""

    simulated: bool
    frames: int
    frames_processed: int
    model_ms: float
    prompt_to_mask_ms: float | None


class EvaluationReport(msgspec.Struct, frozen=True, kw_only=True, tag="evaluation", tag_field="kind"):
    """J&F, target presence, identity and streaming figures.

    Attributes:
        version: Of this format.
        settings: What was run on what.
        complete: Whether every sentence was evaluated that was to be.
        groups: The first one is `all`.
        clips: In the data's order.
        timing: In `realtime` mode.
        warnings: Videos and sentences that were left out because they are broken, sentences that are not read whole.
    """

    version: Literal[1] = 1
    settings: RunSettings
    complete: bool
    groups: tuple[GroupFigures, ...]
    clips: tuple[ClipResult, ...]
    timing: Timing | None = None
    warnings: tuple[InputWarning, ...] = ()

    @property
    def overall(self) -> GroupFigures:
        """Figures of all clips."""
        return self.groups[0]

    def group(self, name: str) -> GroupFigures | None:
        """Figures of a group; None if no clip belongs to it."""
        return next((group for group in self.groups if group.name == name), None)


class SingleObjectGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of the A2D protocol of a group of clips."""

    name: str
    expressions: int
    figures: SingleObjectFigures


class SingleObjectReport(msgspec.Struct, frozen=True, kw_only=True, tag="single_object", tag_field="kind"):
    """P@K, overall and mean IoU and mAP (the A2D protocol); attributes as in `EvaluationReport`."""

    version: Literal[1] = 1
    settings: RunSettings
    complete: bool
    groups: tuple[SingleObjectGroup, ...]
    warnings: tuple[InputWarning, ...] = ()


Report = EvaluationReport | SingleObjectReport


def report_to_json(report: Report) -> bytes:
    """The report as indented JSON; equal reports give equal bytes."""
    try:
        content = msgspec.json.encode(report)
    except UnicodeEncodeError:  # the name of a folder or a file, say
        content = msgspec.json.encode(encodable_values(msgspec.to_builtins(report)))
    return msgspec.json.format(content, indent=2) + b"\n"


def report_from_json(content: bytes | str) -> Report:
    """Read a report.

    Raises:
        ConfigError: Not a report, or of another version.
    """
    try:
        report: Report = msgspec.json.decode(content, type=Report)
    except msgspec.DecodeError as error:
        raise ConfigError(f"this is not an evaluation report of version 1: {error}") from error
    return report
