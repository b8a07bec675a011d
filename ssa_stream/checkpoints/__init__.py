"""Weights: our file, the reference's checkpoints, CLIP's weights, and the check that the network computes the same."""

from typing import TYPE_CHECKING

from ssa_stream.checkpoints.golden_report import VerifyReport
from ssa_stream.checkpoints.info import CheckpointInfo, read_info
from ssa_stream.lazy_names import lazy_names
from ssa_stream.weight_files import DEFAULT_CHECKPOINT, located, shipped_checkpoints

if TYPE_CHECKING:
    from ssa_stream.checkpoints.clip_weights import clip_tags, download_clip, read_clip
    from ssa_stream.checkpoints.golden import verify_folder
    from ssa_stream.checkpoints.opening import choose_device, open_network
    from ssa_stream.checkpoints.reference import export_reference, import_reference
    from ssa_stream.checkpoints.start_weights import TrainingStart, training_start
    from ssa_stream.checkpoints.store import load_checkpoint, save_checkpoint
else:
    __getattr__ = lazy_names(
        __name__,
        clip_weights="clip_tags download_clip read_clip",
        golden="verify_folder",
        opening="choose_device open_network",
        reference="export_reference import_reference",
        store="load_checkpoint save_checkpoint",
        start_weights="TrainingStart training_start",
    )

__all__ = [
    "DEFAULT_CHECKPOINT",
    "CheckpointInfo",
    "TrainingStart",
    "VerifyReport",
    "choose_device",
    "clip_tags",
    "download_clip",
    "export_reference",
    "import_reference",
    "load_checkpoint",
    "located",
    "open_network",
    "read_clip",
    "read_info",
    "save_checkpoint",
    "shipped_checkpoints",
    "training_start",
    "verify_folder",
]
