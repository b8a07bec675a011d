"""Deterministic stand-in weights: a tensor is a function of its reference key and its shape, of nothing else.

With them a network can be compared number by number with a reference that nobody has to ship the weights of. The
recipe is part of the format of golden folders (`checkpoints.golden`): changing it makes every such folder useless.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssa_stream.checkpoints.reference_keys import CRITERION_KEYS

__all__ = ["CLASS_WEIGHTS", "seeded_array", "seeded_state"]

CLASS_WEIGHTS = (1.0, 0.1)
"""The one value of the loss buffers, which the recipe leaves as they are built: object, no object."""

_QUERY_TABLES = ("query_embed.weight", "fq_pos.weight")
_LOOKUP_TABLES = ("token_embedding.weight", "positional_embedding", "level_embed.weight", "level_embed")
_BRANCH_ENDS = ("out_proj.weight", "output_proj.weight", "linear2.weight")


def _branch_gain(key: str) -> float:
    """Factor of the last matrix of a residual branch: keeps the queries of a random decoder apart, yet stable."""
    if "text_cross_attention_layers." in key or ".fusion." in key:
        return -0.2
    return 2.0 if "transformer_cross_attention_layers." in key else -0.25


def _matrix_gain(key: str) -> float:
    """Factor on top of `1 / sqrt(fan in)`; CLIP and the adapters have none."""
    if key.startswith("backbone."):
        return 1.0
    if key.endswith("in_proj_weight"):
        return 1.5
    return _branch_gain(key) if key.endswith(_BRANCH_ENDS) else 1.0


def _mean_and_scale(key: str, shape: Sequence[int]) -> tuple[float, float]:
    """Mean and standard deviation of a tensor's normal distribution."""
    leaf = key.rpartition(".")[2]
    if leaf == "logit_scale":
        return math.log(100.0), 0.0
    if leaf.startswith("gamma"):
        return 0.2, 0.05
    if key.endswith(_QUERY_TABLES):
        return 0.0, 6.0
    if key.endswith(_LOOKUP_TABLES):
        return 0.0, 0.5
    if len(shape) >= 2:
        return 0.0, _matrix_gain(key) / math.sqrt(math.prod(shape[1:]))
    if leaf == "weight":
        return 1.0, 0.1
    return 0.0, 2.0 if key.endswith("sampling_offsets.bias") else 0.05


def seeded_array(key: str, shape: Sequence[int]) -> NDArray[np.float32]:
    """Make one tensor.

    Args:
        key: Its name in the reference's state dict.
        shape: Its shape.
    Returns:
        float32, from one PCG64 stream per key, seeded with the first eight bytes of the key's SHA-256.
    """
    seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
    drawn = np.random.Generator(np.random.PCG64(seed)).standard_normal(math.prod(shape))
    mean, scale = _mean_and_scale(key, shape)
    drawn *= scale
    drawn += mean  # in float64; the cast comes last
    return drawn.reshape(tuple(shape)).astype(np.float32)


def _tensors(layout: Mapping[str, Sequence[int]]) -> Iterator[tuple[str, Tensor]]:
    for key, shape in layout.items():
        if key in CRITERION_KEYS:
            yield key, torch.tensor(CLASS_WEIGHTS)
        else:
            yield key, torch.from_numpy(seeded_array(key, shape))


def seeded_state(layout: Mapping[str, Sequence[int]]) -> dict[str, Tensor]:
    """Make a whole state dict.

    Args:
        layout: Shape of each tensor by its name in the reference's state dict.
    Returns:
        float32 tensors under the same names, in the same order.
    """
    return dict(_tensors(layout))
