"""A start for training: what a segmenter of pictures in the reference's names has in common with a network.

The authors train from a Mask2Former with the same CLIP, trained on COCO. It has more queries, classes of its own and no
video module. What has the same name and shape is taken.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ssa_stream.checkpoints.info import CLIP_WAYS
from ssa_stream.checkpoints.reference import read_reference, reference_layout
from ssa_stream.checkpoints.reference_keys import CLIP_PREFIX, CRITERION_KEYS, to_our_key, to_reference_key
from ssa_stream.errors import CheckpointError
from ssa_stream.model import SSA, SsaConfig
from ssa_stream.texts import brief

__all__ = ["TrainingStart", "training_start"]


@dataclass(frozen=True)
class TrainingStart:
    """Weights to begin with.

    Attributes:
        state: All tensors of the network under our names.
        taken: How many tensors of the file are in it, by part of the network.
        initialised: How many are as at the start of training from nothing, by part.
        random: These, by name.
        left_out: The file's other tensors, each with the reason.
    """

    state: Mapping[str, Tensor]
    taken: Mapping[str, int]
    initialised: Mapping[str, int]
    random: tuple[str, ...]
    left_out: tuple[str, ...]


def training_start(
    file: str | Path, config: SsaConfig, *, clip: Mapping[str, Tensor] | None = None, seed: int = 0
) -> TrainingStart:
    """Take from a checkpoint what a network can use, and initialise the rest.

    Args:
        file: A .pth, .pt or .bin file: a state dict, or a dictionary that holds one under `model`.
        config: The network to train.
        clip: CLIP's weights under its own names, used instead of those in the file.
        seed: Of the random weights.
    Raises:
        CheckpointError: The file is unreadable, nothing in it fits, or CLIP's weights are not there as a whole: they
            are not trained, so they cannot be random.
    """
    theirs = read_reference(file)
    frozen = {to_reference_key(CLIP_PREFIX + key) or key: tensor for key, tensor in (clip or {}).items()}
    if frozen:
        theirs = {key: tensor for key, tensor in theirs.items() if not _is_clip(key)} | frozen
    layout = {key: shape for key, shape in reference_layout(config).items() if key not in CRITERION_KEYS}
    taken = {key for key, shape in layout.items() if key in theirs and _fits(theirs[key], shape)}
    left_out = tuple(_reason(key, tensor, layout) for key, tensor in theirs.items() if key not in taken)
    if all(_is_clip(key) for key in taken):
        raise CheckpointError(
            f"{file} has nothing of {config.name} besides CLIP: {_some(left_out) or 'it is empty'}. Expected the "
            "reference's names, such as sem_seg_head.pixel_decoder.mask_features.weight; is it another size of the "
            "network? Choose the configuration with --model."
        )
    lacking = [key for key in layout if _is_clip(key) and key not in taken]
    if lacking:
        raise CheckpointError(
            f"{file} lacks {len(lacking)} tensors of {config.clip.name} or has others: {_some(lacking)}. {CLIP_WAYS}"
        )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        state = dict(SSA(config).state_dict())
    ours = {to_our_key(key) or key: theirs[key] for key in layout if key in taken}
    random = tuple(key for key in state if key not in ours)
    return TrainingStart(
        state={key: ours.get(key, tensor) for key, tensor in state.items()},
        taken=Counter(_part(key) for key in ours),
        initialised=Counter(map(_part, random)),
        random=random,
        left_out=left_out,
    )


def _fits(tensor: Tensor, shape: tuple[int, ...]) -> bool:
    return tuple(tensor.shape) == shape and tensor.dtype.is_floating_point


def _reason(key: str, tensor: Tensor, layout: Mapping[str, tuple[int, ...]]) -> str:
    """A tensor that is left out, and why."""
    if key not in layout:
        return f"{brief(key)} (not in the network)"
    if tensor.dtype.is_floating_point:
        return f"{key} ({list(tensor.shape)}, expected {list(layout[key])})"
    return f"{key} ({tensor.dtype}, expected floating-point numbers)"


def _some(names: "tuple[str, ...] | list[str]", most: int = 4) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def _is_clip(reference_key: str) -> bool:
    return (to_our_key(reference_key) or "").startswith(CLIP_PREFIX)


def _part(our_key: str) -> str:
    return our_key.partition(".")[0]
