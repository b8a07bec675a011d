"""Checkpoints of the authors' implementation: read into our names, and written back in theirs."""

import pickle
import re
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ssa_stream.checkpoints.files import saving
from ssa_stream.checkpoints.info import CLIP_WAYS, read_info
from ssa_stream.checkpoints.layout import Layout, compare_layouts, empty_model, model_layout
from ssa_stream.checkpoints.reference_keys import (
    CLIP_PREFIX,
    CRITERION_KEYS,
    reference_order,
    to_our_key,
    to_reference_key,
)
from ssa_stream.checkpoints.seeded import CLASS_WEIGHTS
from ssa_stream.checkpoints.store import read_tensors
from ssa_stream.errors import CheckpointError
from ssa_stream.model import SsaConfig
from ssa_stream.model.extensions import extensions_of
from ssa_stream.texts import brief
from ssa_stream.weight_files import check_torch_file, existing_file

__all__ = [
    "export_reference",
    "from_reference",
    "import_reference",
    "read_reference",
    "reference_layout",
    "to_reference",
]

_WRAPPER = "model"
_VIDEO = "vita_module."
# What numpy needs to come back from a pickle: data only, no code runs. Optimizer states and metrics hold such values.
_NUMPY: list[Any] = [
    np.ndarray,
    np.dtype,
    *(type(np.dtype(kind)) for kind in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?")),
    *(
        (value.__reduce__()[0], f"{module}.multiarray.{name}")
        for value, name in ((np.empty(0), "_reconstruct"), (np.float32(0), "scalar"))
        for module in ("numpy.core", "numpy._core")
    ),
]


def reference_layout(config: SsaConfig) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the reference's state dict for a network, in the reference's order.

    Raises:
        CheckpointError: The network is one that the reference cannot be.
    """
    for extension in extensions_of(config):
        raise CheckpointError(
            f"{config.name} has {extension}, which the authors' network has no names for; expected a network with "
            f"{extension}: false, such as ssa-base or ssa-large (--model)"
        )
    ours = {to_reference_key(key): shape for key, shape in model_layout(empty_model(config)).items()}
    assert None not in ours, "a tensor of the network has no reference name"
    layout = {key: shape for key, shape in ours.items() if key is not None}
    layout |= {key: (len(CLASS_WEIGHTS),) for key in CRITERION_KEYS}
    return {key: layout[key] for key in reference_order(layout)}


def from_reference(
    state: Mapping[str, Tensor], config: SsaConfig, clip: Mapping[str, Tensor] | None = None
) -> dict[str, Tensor]:
    """Rename a state dict of the reference.

    Args:
        state: The reference's tensors; CLIP's may lack as a whole if `clip` is given.
        config: The network they are of.
        clip: CLIP's weights under its own names; used instead of those in `state`.
    Returns:
        The same tensors under our names, the buffers of the training loss among them.
    Raises:
        CheckpointError: Tensors are missing, not expected or of another shape; told in the reference's own names.
    """
    if clip is not None:
        frozen = {to_reference_key(CLIP_PREFIX + key) or key: tensor for key, tensor in clip.items()}
        state = {key: tensor for key, tensor in state.items() if not _is_clip(key)} | frozen
    layout = reference_layout(config)
    mismatch = compare_layouts({key: tuple(tensor.shape) for key, tensor in state.items()}, layout)
    if mismatch:
        raise CheckpointError(f"the state dict is not that of {config.name}:\n{mismatch}{_advice(state, layout)}")
    renamed = {to_our_key(key): state[key] for key in layout}
    return {key: tensor for key, tensor in renamed.items() if key is not None}


def to_reference(state: Mapping[str, Tensor], config: SsaConfig) -> "OrderedDict[str, Tensor]":
    """Rename our tensors as the reference has them, in its order; loss buffers are added if they lack.

    Raises:
        CheckpointError: The tensors are not those of `config`; told in the reference's names.
    """
    renamed = {to_reference_key(key) or key: tensor for key, tensor in state.items()}
    for key in CRITERION_KEYS:
        renamed.setdefault(key, torch.tensor(CLASS_WEIGHTS))
    layout = reference_layout(config)
    mismatch = compare_layouts({key: tuple(tensor.shape) for key, tensor in renamed.items()}, layout)
    if mismatch:
        raise CheckpointError(f"the tensors are not those of {config.name}:\n{mismatch}")
    return OrderedDict((key, renamed[key]) for key in layout)


def import_reference(
    file: str | Path, config: SsaConfig, *, clip: Mapping[str, Tensor] | None = None
) -> dict[str, Tensor]:
    """Read a checkpoint of the reference implementation.

    Args:
        file: A .pth, .pt or .bin file: a state dict, or a dictionary that holds one under `model`.
        config: The network that it is of.
        clip: CLIP's weights under its own names, used instead of those in the file.
    Returns:
        Tensors under our names, on the CPU, as they are stored; they may be read from the file only when used.
    Raises:
        CheckpointError: The file is unreadable, needs code to be unpickled, or does not fit `config`.
    """
    state = read_reference(file)
    try:
        return from_reference(state, config, clip)
    except CheckpointError as error:
        raise CheckpointError(f"cannot import {file}: {error}") from error


def read_reference(file: str | Path) -> dict[str, Tensor]:
    """Read the state dict of a torch file, whatever its names are; no code of the file is run.

    Args:
        file: A .pth, .pt or .bin file: a state dict, or a dictionary that holds one under `model`.
    Raises:
        CheckpointError: The file is unreadable, needs code to be unpickled, or holds something else.
    """
    path = existing_file(file)
    check_torch_file(path)
    return _state_dict(_unpickled(path), path)


def export_reference(checkpoint: str | Path, out: str | Path, *, clip: Mapping[str, Tensor] | None = None) -> None:
    """Write one of our checkpoints as the reference implementation reads it.

    Args:
        checkpoint: Our file.
        out: Where; a torch file `{"model": state dict}` in the reference's names and order.
        clip: CLIP's weights under its own names, if the checkpoint holds none.
    Raises:
        CheckpointError: `checkpoint` is unreadable or holds no CLIP weights and none are given, or writing failed.
    """
    info = read_info(checkpoint)
    if clip is None and not info.contains_clip:
        raise CheckpointError(f"{info.path} holds no CLIP weights, which the reference's checkpoints do. {CLIP_WAYS}")
    state = read_tensors(info.path)
    if clip is not None:
        state |= {CLIP_PREFIX + key: tensor for key, tensor in clip.items()}
    theirs = to_reference(state, info.config)
    with saving(out) as partial:
        try:
            torch.save({_WRAPPER: theirs}, partial)
        except RuntimeError as error:
            raise CheckpointError(f"cannot write {out}: {error}") from error


def _is_clip(reference_key: str) -> bool:
    return (to_our_key(reference_key) or "").startswith(CLIP_PREFIX)


def _advice(state: Mapping[str, Tensor], layout: Layout) -> str:
    """What to do about a mismatch, where the cause can be told."""
    if not any(_is_clip(key) for key in state) and all(key in state for key in layout if not _is_clip(key)):
        return f"\nOnly CLIP's weights are missing. {CLIP_WAYS}"
    if any(key in state for key in layout if not _is_clip(key)) and not any(key.startswith(_VIDEO) for key in state):
        return "\nIt has no video module: is it a segmenter of pictures, to train from? Add --for-training."
    return "\nIs it another size of the network? Choose the configuration with --model."


def _unpickled(path: Path) -> object:
    """Unpickle a torch file without running any code from it."""
    try:
        with torch.serialization.safe_globals(_NUMPY):
            # Only the zip format, torch's since 1.6, can be mapped.
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        code = re.search(r"GLOBAL (\S+) (?:was not an allowed|whose module)", str(error))
        if code is None:
            raise _unreadable(path, error) from error
        raise CheckpointError(
            f"{path} holds {code[1]}, which only its own code could restore, and no code of a file is run here. If "
            f"you trust the file, save its weights alone where it was made: "
            f'torch.save({{"model": torch.load(path, weights_only=False)["model"]}}, "weights.pth")'
        ) from error
    except Exception as error:  # whatever zip, numpy and torch raise where a pickle's values make no sense
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> CheckpointError:
    told = str(error).rpartition("WeightsUnpickler error:")[2].strip() or type(error).__name__
    reason = told.splitlines()[0][:200]
    return CheckpointError(f"{path} is not a whole torch file ({reason}); expected a .pth, .pt or .bin state dict")


def _state_dict(content: object, path: Path) -> dict[str, Tensor]:
    """The state dict in a torch file."""
    inner = content[_WRAPPER] if isinstance(content, Mapping) and _WRAPPER in content else content
    if isinstance(inner, Mapping) and not inner:
        raise CheckpointError(f"{path} is empty: its dictionary holds no tensors; expected a state dict")
    if not isinstance(inner, Mapping):
        raise CheckpointError(
            f"{path} holds {type(inner).__name__}; expected a state dict, or a dictionary with one under {_WRAPPER!r}"
        )
    state: dict[str, Tensor] = {}
    for key, value in inner.items():
        tensor = _from_numpy(value) if isinstance(value, np.ndarray) else value
        if not isinstance(key, str) or not isinstance(tensor, Tensor) or not _is_plain(tensor):
            raise CheckpointError(
                f"{path} has {type(value).__name__} under {brief(key)}; expected a state dict of plain tensors, or a "
                f"dictionary with one under {_WRAPPER!r}"
            )
        state[key] = tensor
    return state


def _from_numpy(value: "np.ndarray[Any, Any]") -> Tensor | None:
    try:
        return torch.from_numpy(value)
    except (TypeError, ValueError):  # of a type that torch lacks, or with strides that it does not know
        return None


def _is_plain(tensor: Tensor) -> bool:
    """Whether it is a table of numbers in memory, which sparse, quantised and meta tensors are not."""
    return tensor.layout == torch.strided and not tensor.is_quantized and tensor.device.type == "cpu"
