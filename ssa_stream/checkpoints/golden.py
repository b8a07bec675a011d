"""Verify the network against a golden folder: every recorded number of every case, and which stage deviates first."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from ssa_stream.checkpoints.golden_compare import (
    ATTENTION_MARGIN,
    PERMUTATION_MARGIN,
    SUMMARY_PARTS,
    Comparison,
    Stage,
    Verdict,
    compare_stages,
    is_recorded,
    judge_flips,
    stages,
)
from ssa_stream.checkpoints.golden_folder import GoldenCase, GoldenFolder, read_case, read_folder
from ssa_stream.checkpoints.golden_report import CaseReport, VerifyReport
from ssa_stream.checkpoints.golden_trace import trace_case
from ssa_stream.checkpoints.info import read_info
from ssa_stream.checkpoints.layout import build_model, compare_layouts, empty_model
from ssa_stream.checkpoints.reference import from_reference, reference_layout
from ssa_stream.checkpoints.seeded import seeded_state
from ssa_stream.checkpoints.store import checked_device, read_tensors
from ssa_stream.errors import CheckpointError, ConfigError
from ssa_stream.model import SSA
from ssa_stream.model.clip import trunk_channels

__all__ = ["build_golden", "verify_case", "verify_folder"]

_INPUTS = ("frames", "sentence", "height", "width", "frame_seed")
_INFORMATION = ("_margin", "_min_abs", "_rms")


def verify_folder(
    path: str | Path,
    *,
    checkpoint: str | Path | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    on_case: Callable[[int, int], None] | None = None,
) -> VerifyReport:
    """Run every case of a golden folder and compare every recorded number.

    Args:
        path: The folder.
        checkpoint: Use this file's weights; None takes the seeded ones, through the mapping of `checkpoint import`.
        device: Where the network runs. float32 means float32: TF32 is switched off while it runs.
        dtype: float32, or bfloat16 for information.
        on_case: Told the number of cases done and of all.
    Raises:
        CheckpointError: The folder or the checkpoint is unusable.
        ConfigError: The device or the dtype is.
    """
    if dtype not in (torch.float32, torch.bfloat16):
        raise ConfigError(f"cannot verify in {dtype}; choose float32 or bfloat16")
    device = checked_device(device)
    folder = read_folder(path)
    model = build_golden(folder, checkpoint).cast(dtype).to(device)
    reports = []
    for done, file in enumerate(folder.cases):
        if on_case:
            on_case(done, len(folder.cases))
        reports.append(verify_case(model, folder, read_case(file)))
    notes = [f"config.json has fields that are not looked at: {', '.join(folder.unknown_fields)}"]
    return VerifyReport(
        folder=str(folder.path),
        weights="seeded" if checkpoint is None else str(checkpoint),
        device=str(device),
        dtype=str(dtype).removeprefix("torch."),
        is_binding=dtype == torch.float32,
        cases=tuple(reports),
        order=tuple(_name(stage) for stage in _order(folder)),
        notes=tuple(notes if folder.unknown_fields else ()),
    )


def build_golden(folder: GoldenFolder, checkpoint: str | Path | None = None) -> SSA:
    """Build a golden folder's network on the CPU in float32.

    Args:
        folder: The folder's description.
        checkpoint: Where its weights come from; None takes the seeded ones.
    Raises:
        CheckpointError: The description, its list of tensors and the checkpoint do not belong together.
    """
    try:
        empty = empty_model(folder.config)
        expected = reference_layout(folder.config)
    except ConfigError as error:
        raise CheckpointError(f"{folder.path / 'config.json'}: {error}") from error
    for what, came, built in (
        ("stage_dims", folder.stage_dims, trunk_channels(empty.clip)),
        ("text_feature_dim", folder.text_dim, empty.clip.text_projection.shape[1]),
    ):
        if came != built:
            raise CheckpointError(f"{folder.path / 'config.json'}: {what} is {came}, but its CLIP has {built}")
    mismatch = compare_layouts(folder.layout, expected)
    if mismatch:
        raise CheckpointError(f"{folder.path / 'keys.json'} is not the list of its config.json:\n{mismatch}")
    if list(folder.layout) != list(expected):
        raise CheckpointError(f"{folder.path / 'keys.json'} has another order than the reference's state dict")
    if checkpoint is None:
        return build_model(folder.config, from_reference(seeded_state(folder.layout), folder.config))
    return _from_checkpoint(folder, checkpoint)


def _from_checkpoint(folder: GoldenFolder, checkpoint: str | Path) -> SSA:
    """The folder's network with a checkpoint's weights."""
    info = read_info(checkpoint)
    if not info.contains_clip:
        raise CheckpointError(f"{checkpoint} holds no CLIP weights; verify a checkpoint that contains them")
    ours, theirs = info.config.to_mapping(), folder.config.to_mapping()
    structure = sorted(set(ours) - {"name", "clip", "short_edge_px", "long_edge_px", "dropout"})
    differing = [f"{name} is {ours[name]}, not {theirs[name]}" for name in structure if ours[name] != theirs[name]]
    if differing:
        raise CheckpointError(f"{checkpoint} is of another network than {folder.path}: {'; '.join(differing)}")
    state = {key: tensor.float() for key, tensor in read_tensors(checkpoint).items()}
    try:
        return build_model(folder.config, state)
    except CheckpointError as error:
        raise CheckpointError(f"{checkpoint} does not fit {folder.path}: {error}") from error


def verify_case(model: SSA, folder: GoldenFolder, case: GoldenCase) -> CaseReport:
    """Run one case and compare what it records.

    Args:
        model: The folder's network, anywhere; in bfloat16 the comparison is a loose one.
        folder: The folder.
        case: One of its cases.
    Raises:
        CheckpointError: The case records nothing that could be compared.
    """
    started = time.perf_counter()
    loose = model.dtype != torch.float32
    theirs = dict(case.arrays)
    with _full_float32():
        ours = trace_case(model, folder, case)
    if "pred_fg_prob" in theirs:
        theirs["selection"] = theirs["pred_fg_prob"] > folder.threshold
        ours["selection"] = ours["pred_fg_prob"] > folder.threshold
    order = _order(folder)
    try:
        compared = compare_stages(order, ours, theirs, loose=loose)
        judged = compared if loose else list(judge_flips(compared, theirs))
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise CheckpointError(f"case {case.name} records arrays of another form than a case has ({error})") from error
    if not compared:
        raise CheckpointError(f"case {case.name} records none of the network's stages")
    notes = (*_notes(order, theirs), *_flip_notes(judged))
    return CaseReport(case.name, tuple(judged), notes, time.perf_counter() - started)


def _order(folder: GoldenFolder) -> list[Stage]:
    return stages(folder.config.frame_decoder.num_layers + 1, folder.config.video_decoder.num_layers)


def _name(stage: Stage) -> str:
    return stage.name if stage.layer is None else f"{stage.name}[{stage.layer}]"


def _notes(order: list[Stage], theirs: dict[str, Any]) -> Iterator[str]:
    """What a case does not record, and what it records that is not looked at."""
    names = {stage.name for stage in order}
    absent = sorted(name for name in names if not is_recorded(name, theirs))
    if absent:
        yield f"not recorded: {', '.join(absent)}"
    known = {*names, *_INPUTS, *(f"{name}_{part}" for name in names for part in SUMMARY_PARTS)}
    unknown = sorted(name for name in theirs if name not in known and not name.endswith(_INFORMATION))
    if unknown:
        yield f"recorded, but not known here: {', '.join(unknown)}"


def _flip_notes(judged: list[Comparison]) -> Iterator[str]:
    """What a flip means for the case's verdict."""
    flips = [one.name for one in judged if one.verdict is Verdict.FLIPPED]
    if flips:
        after = sum(one.verdict is Verdict.AFTER_FLIP for one in judged)
        yield (
            f"{', '.join(flips)} fell the other way, in a case that records decisions with hardly any margin "
            f"(attention below {ATTENTION_MARGIN:g} or assignment below {PERMUTATION_MARGIN:g}): no failure, and "
            f"{after} later stages that deviate because of it are not judged"
        )


@contextmanager
def _full_float32() -> Iterator[None]:
    """Switch TF32 off, which would cost three decimal digits, and back to what it was."""
    convolution, product = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = convolution, product
