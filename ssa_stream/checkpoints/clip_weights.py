"""Weights of the frozen CLIP: from a file, from a checkpoint, or downloaded when asked for."""

from pathlib import Path

import open_clip
import torch
from open_clip.factory import load_checkpoint as load_open_clip
from open_clip.pretrained import download_pretrained
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ssa_stream.checkpoints.info import FORMAT, read_info
from ssa_stream.checkpoints.layout import compare_layouts, empty_model, model_layout
from ssa_stream.checkpoints.reference_keys import CLIP_PREFIX
from ssa_stream.checkpoints.store import read_tensors
from ssa_stream.errors import CheckpointError, ConfigError
from ssa_stream.model import SsaConfig
from ssa_stream.model.clip import build_clip
from ssa_stream.weight_files import existing_file

__all__ = ["DEFAULT_TAG", "clip_tags", "download_clip", "read_clip"]

DEFAULT_TAG = "default"
_ARRAY_ENDINGS = (".npy", ".npz")
_DEFAULT_TAGS = {
    "convnext_base_w": "laion2b_s13b_b82k_augreg",
    "convnext_large_d_320": "laion2b_s29b_b131k_ft_soup",  # what the published network was trained with
}


def read_clip(path: str | Path, config: SsaConfig) -> dict[str, Tensor]:
    """Read CLIP weights from a file.

    Args:
        path: open_clip's own weight file (.pt, .bin or .safetensors), or an ssa_stream checkpoint that contains CLIP.
        config: The network whose CLIP it must be.
    Returns:
        Tensors under CLIP's own names, on the CPU.
    Raises:
        CheckpointError: Unreadable, or of another CLIP.
    """
    path = existing_file(path)
    if path.suffix in _ARRAY_ENDINGS:  # open_clip takes these for another network's weights
        raise CheckpointError(
            f"open_clip cannot read {path} as weights of {config.clip.name}: it is a file of numpy arrays; "
            "expected a .pt, .bin or .safetensors file"
        )
    if not _is_checkpoint(path):
        return _read_open_clip(path, config)
    if not read_info(path).contains_clip:
        raise CheckpointError(f"{path} was saved without CLIP weights; give a checkpoint that contains them")
    weights = {key.removeprefix(CLIP_PREFIX): tensor for key, tensor in read_tensors(path, CLIP_PREFIX).items()}
    expected = {
        key.removeprefix(CLIP_PREFIX): shape
        for key, shape in model_layout(empty_model(config)).items()
        if key.startswith(CLIP_PREFIX)
    }
    mismatch = compare_layouts({key: tuple(tensor.shape) for key, tensor in weights.items()}, expected)
    if mismatch:
        raise CheckpointError(f"the CLIP weights in {path} are not those of {config.clip.name}:\n{mismatch}")
    return weights


def clip_tags(config: SsaConfig) -> list[str]:
    """Tags of the weights that open_clip publishes for the network's CLIP; empty for a CLIP of one's own."""
    if config.clip.definition is not None:
        return []
    return [str(tag) for tag in open_clip.list_pretrained_tags_by_model(config.clip.name)]


def download_clip(config: SsaConfig, tag: str = DEFAULT_TAG) -> dict[str, Tensor]:
    """Let open_clip download CLIP weights, into its own cache.

    Args:
        config: The network whose CLIP it is.
        tag: Which of the published weights; `default` takes the usual ones.
    Raises:
        ConfigError: Nothing is published for this CLIP, or not under this tag.
        CheckpointError: The download failed, or what came does not fit.
    """
    name, tags = config.clip.name, clip_tags(config)
    if not tags:
        raise ConfigError(f"open_clip publishes no weights for {name}; give a file with --clip FILE")
    chosen = _DEFAULT_TAGS.get(name, tags[0]) if tag == DEFAULT_TAG else tag
    if chosen not in tags:
        raise ConfigError(f"open_clip publishes no weights {tag!r} for {name}; choose one of: {', '.join(tags)}")
    try:
        path = download_pretrained(open_clip.get_pretrained_cfg(name, chosen))
    except Exception as error:  # whatever the hub client and its transport raise
        raise CheckpointError(
            f"open_clip could not download {name} {chosen} ({type(error).__name__}: {error}); "
            f"bring the file here by other means and give it with --clip FILE"
        ) from error
    return _read_open_clip(existing_file(path), config)


def _is_checkpoint(path: Path) -> bool:
    """Whether a file is one of our checkpoints."""
    try:
        with safe_open(path, framework="pt", backend="pread") as file:
            return (file.metadata() or {}).get("format") == FORMAT
    except (SafetensorError, OSError, ValueError):
        return False


def _read_open_clip(path: Path, config: SsaConfig) -> dict[str, Tensor]:
    """Read a file with open_clip's own loader, which knows the older layouts; strict, weights only."""
    with torch.device("meta"):
        clip = build_clip(config.clip)
    clip = clip.to_empty(device="cpu")
    try:
        load_open_clip(clip, str(path), strict=True, weights_only=True)
    except Exception as error:  # its loader lets errors of pickle, zip, safetensors and torch through
        reason = " ".join(str(error).split())
        reason = reason if len(reason) < 500 else f"{reason[:500]} ..."
        raise CheckpointError(
            f"open_clip cannot read {path} as weights of {config.clip.name} ({type(error).__name__}: {reason})"
        ) from error
    return {key: tensor.detach() for key, tensor in clip.state_dict().items()}
