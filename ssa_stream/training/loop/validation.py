"""How good the network is now: J&F on a fixed set of clips, generated ones by type of sentence."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from torch import nn

from ssa_stream.data import TYPE_WEIGHTS, ClipSample, SceneConfig, Split, sample_clip
from ssa_stream.evaluation import ClipData, EvaluationConfig, EvaluationData, evaluate
from ssa_stream.input_warnings import InputWarning
from ssa_stream.model import SSA
from ssa_stream.training.config import SegmentStage, ValidationConfig
from ssa_stream.training.data.samples import open_held_out
from ssa_stream.training.data.settings import SyntheticData
from ssa_stream.training.loop.held_out import HeldOutClips

__all__ = ["Validation", "in_evaluation", "validate_segmentation"]


@dataclass(frozen=True)
class Validation:
    """Figures of one validation, 0..1, and the number of clips that are `broken`, if there are such.

    Attributes:
        score: The one that decides which weights are best.
        figures: All of them, by name.
    """

    score: float
    figures: dict[str, float]


@contextmanager
def in_evaluation(module: nn.Module) -> Iterator[None]:
    """Switch to evaluation, and back to training after it."""
    module.eval()
    try:
        yield
    finally:
        module.train()


def validate_segmentation(model: SSA, config: ValidationConfig, stage: SegmentStage) -> Validation:
    """Evaluate offline on the validation clips, at their own size.

    Args:
        model: The network, in evaluation mode.
        config: Which clips.
        stage: For `split: train` of the generator, whose clips they are.
    Raises:
        ConfigError: The public data set is not there, or all of its clips are broken.
    """
    settings = EvaluationConfig()
    session = replace(settings.session, short_edge_px=min(config.size), long_edge_px=max(config.size))
    broken: list[InputWarning] = []
    report = evaluate(model, _data(config, stage), "offline", replace(settings, session=session), broken.append)
    overall = report.groups[0]
    figures = {
        "J&F": overall.j_and_f,
        "J": overall.j,
        "F": overall.f,
        "presence": overall.presence_frames,
        **{group.name: group.j_and_f for group in report.groups[1:]},
        **({"broken": float(len(broken))} if broken else {}),
    }
    return Validation(overall.j_and_f, figures)


def _data(config: ValidationConfig, stage: SegmentStage) -> EvaluationData:
    """What is judged on; a public data set is opened anew each time, so that it takes no memory in between."""
    samples = open_held_out(config)
    if samples is None:
        return ClipData(_clips(config, stage))
    return HeldOutClips(samples, config.clips, config.frames, f"{config.data} {config.split}")


def _clips(config: ValidationConfig, stage: SegmentStage) -> list[ClipSample]:
    first, weights = 0, TYPE_WEIGHTS
    split: Split = "train" if config.split == "train" else "val"
    scenes = SceneConfig(min_objects=config.min_objects, max_objects=config.max_objects)
    if split == "train" and isinstance(stage.data, SyntheticData):
        first, weights = stage.data.first_seed, stage.data.type_weights or TYPE_WEIGHTS
        scenes = SceneConfig(min_objects=stage.data.min_objects, max_objects=stage.data.max_objects)
    return [
        sample_clip(seed, config.frames, config.size, split, config=scenes, type_weights=weights)
        for seed in range(first, first + config.clips)
    ]
