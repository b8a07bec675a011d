"""Our weight file: safetensors whose metadata says which network the tensors are of; and those that are shipped."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from ssa_stream.checkpoints.files import saving
from ssa_stream.checkpoints.info import CLIP_WAYS, CheckpointInfo, expect_trained, metadata_of, opened_file, read_info
from ssa_stream.checkpoints.layout import compare_layouts, empty_model, expect_layout, fill_model, model_layout
from ssa_stream.checkpoints.reference_keys import CLIP_PREFIX, CRITERION_KEYS
from ssa_stream.errors import CheckpointError, ConfigError
from ssa_stream.knowledge import Knowledge
from ssa_stream.model import SSA, Operator, Precision, SsaConfig, use_operator
from ssa_stream.model.precision import checked_precision
from ssa_stream.texts import brief

__all__ = ["checked_device", "checked_dtype", "load_checkpoint", "read_tensors", "save_checkpoint"]

_DTYPES = (torch.float32, torch.bfloat16)


def save_checkpoint(
    path: str | Path,
    weights: SSA | Mapping[str, Tensor],
    config: SsaConfig,
    *,
    include_clip: bool = True,
    dtype: torch.dtype | None = None,
    notes: Mapping[str, str] | None = None,
    knowledge: Knowledge | None = None,
    is_trained: bool = True,
) -> CheckpointInfo:
    """Write a checkpoint; the file appears whole or not at all.

    Args:
        path: Where; replaced if it is there.
        weights: The network, or its tensors under our names. The two buffers of the training loss may be among them.
        config: What the network was built from.
        include_clip: Whether to write the frozen CLIP too. Without it the file is an eighth of the size, but whoever
            loads it must have the same CLIP weights.
        dtype: Type of all tensors in the file; None keeps what they have.
        notes: Anything worth telling of these weights, by heading.
        knowledge: What the network knows; None: that is not said.
        is_trained: False for a start for training, which nothing else takes.
    Raises:
        CheckpointError: The tensors are not those of `config`, a value does not fit `dtype`, or writing failed.
    """
    if isinstance(weights, SSA) and weights.is_folded:
        raise CheckpointError(
            f"cannot save {path}: the network's trunk was folded for inference; save one from load_checkpoint"
        )
    state = dict(weights.state_dict() if isinstance(weights, SSA) else weights)
    if not include_clip:
        state = {key: tensor for key, tensor in state.items() if not key.startswith(CLIP_PREFIX)}
    _check(state, config, include_clip, f"cannot save {path}")
    tensors: dict[str, Tensor] = {}
    places: set[int] = set()
    for key, tensor in state.items():
        plain = _plain(key, tensor, dtype)
        tensors[key] = plain.clone() if plain.data_ptr() in places else plain  # the format knows no shared memory
        places.add(plain.data_ptr())
    with saving(path) as partial:
        try:
            metadata = metadata_of(config, include_clip, notes or {}, knowledge, is_trained=is_trained)
            save_file(tensors, partial, metadata)
        except (SafetensorError, RuntimeError) as error:
            raise CheckpointError(f"cannot write {path}: {error}") from error
    return read_info(path)


def read_tensors(path: str | Path, prefix: str = "") -> dict[str, Tensor]:
    """Read a checkpoint's tensors as they are stored, to CPU memory of their own.

    Args:
        path: The checkpoint.
        prefix: Read only names that begin so.
    Raises:
        CheckpointError: See `read_info`.
    """
    info = read_info(path)
    return dict(_stored(info, [key for key in info.shapes if key.startswith(prefix)]))


def load_checkpoint(
    path: str | Path,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    clip: Mapping[str, Tensor] | None = None,
    for_training: bool = False,
    operator: Operator = "auto",
    parts: Collection[str] | None = None,
    precision: Precision = "published",
) -> SSA:
    """Build the network that a checkpoint describes, with its weights.

    Args:
        path: The file, or the name of a shipped checkpoint.
        device: Where the network goes.
        dtype: float32 or bfloat16 for all but the pixel decoder.
        clip: CLIP's weights under its own names, see `checkpoints.clip_weights`; needed if the file holds none, used
            instead of those in the file if it does.
        for_training: Take a start for training, too.
        operator: What deformable attention runs by, see `model.use_operator`; training has the reference always.
        parts: Load only these parts of the network, see `model.parts`; the other tensors are not read, but their names
            and shapes are checked. None loads the whole network.
        precision: How the pixel decoder computes: `published`, in float32, or `fast`, see `model.precision`.
    Returns:
        The network in evaluation mode. Its weights were never in memory twice.
    Raises:
        CheckpointError: The file is unreadable or its tensors are not those of its own configuration.
        ConfigError: `device` is not there, `dtype` is another one, or there is no such operator here.
    """
    device, dtype = checked_device(device), checked_dtype(dtype)
    info = read_info(path)
    if not for_training:
        expect_trained(info)
    if clip is None and not info.contains_clip:
        raise CheckpointError(f"{info.path} holds no CLIP weights. {CLIP_WAYS}")
    frozen = {CLIP_PREFIX + key: tensor for key, tensor in (clip or {}).items()}
    layout = {**info.shapes, **{key: tuple(tensor.shape) for key, tensor in frozen.items()}}
    try:
        # Before any tensor is read: what the file claims to hold may be larger than this machine.
        model = expect_layout(layout, info.config)
    except (CheckpointError, ConfigError) as error:
        raise CheckpointError(f"cannot load {info.path}: {error}") from error
    if parts is not None:
        model.keep(parts)
    model.precision = checked_precision(precision, device, dtype)
    state = _loaded(info, model, frozen, device, dtype)
    fill_model(model, state, torch.empty(0, device=device, dtype=dtype))
    if not for_training:
        use_operator(model, operator)
    return model


def _loaded(
    info: CheckpointInfo, model: SSA, frozen: Mapping[str, Tensor], device: torch.device, dtype: torch.dtype
) -> dict[str, Tensor]:
    """The tensors that a network has, in their types and on its device: one after the other, none twice in memory.

    Raises:
        CheckpointError: They cannot be read, or are no finite floating-point numbers.
    """
    keys = list(model.state_dict())
    given = ((key, frozen[key]) for key in keys if key in frozen)
    state: dict[str, Tensor] = {}
    not_finite: list[str] = []
    doing = f"cannot load {info.path}"
    for key, tensor in chain(given, _stored(info, [key for key in keys if key not in frozen])):
        _check_numbers({key: tensor}, doing)
        if not tensor.isfinite().all():
            not_finite.append(key)
        state[key] = tensor.to(device, model.weight_type(key, dtype))
    if not_finite:  # every frame would fail, one after the other
        raise CheckpointError(
            f"{doing}: expected finite numbers, but there are NaN or infinite ones in {len(not_finite)} tensors: "
            f"{', '.join(not_finite[:6])}; use a state from before the training diverged"
        )
    return state


def _stored(info: CheckpointInfo, keys: Iterable[str]) -> Iterator[tuple[str, Tensor]]:
    """Read tensors one by one, as they are stored.

    Raises:
        CheckpointError: One cannot be read.
    """
    try:
        with opened_file(info.path, "pt") as file:
            for key in keys:
                yield key, file.get_tensor(key)
    except (SafetensorError, RuntimeError, OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{info.path}: its tensors cannot be read ({brief(str(error))})") from error


def checked_device(device: torch.device | str) -> torch.device:
    """Return the device.

    Raises:
        ConfigError: No such device here.
    """
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"device {str(device)!r} cannot be used here ({reason}); choose cpu or cuda") from error


def checked_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return the type.

    Raises:
        ConfigError: The network does not run in it.
    """
    if dtype not in _DTYPES:
        raise ConfigError(f"the network does not run in {dtype}; expected one of {', '.join(map(str, _DTYPES))}")
    return dtype


def _check(state: Mapping[str, Tensor], config: SsaConfig, with_clip: bool, doing: str) -> None:
    """Raise if the tensors are not those of the configuration, or not floating-point numbers."""
    expected = model_layout(empty_model(config))
    if not with_clip:
        expected = {key: shape for key, shape in expected.items() if not key.startswith(CLIP_PREFIX)}
    expected |= {key: (2,) for key in CRITERION_KEYS if key in state}
    mismatch = compare_layouts({key: tuple(tensor.shape) for key, tensor in state.items()}, expected)
    if mismatch:
        raise CheckpointError(f"{doing}: the tensors are not those of {config.name}:\n{mismatch}")
    _check_numbers(state, doing)


def _check_numbers(state: Mapping[str, Tensor], doing: str) -> None:
    """Raise if a tensor does not hold floating-point numbers."""
    odd = [f"{key} ({tensor.dtype})" for key, tensor in state.items() if not tensor.dtype.is_floating_point]
    if odd:
        raise CheckpointError(f"{doing}: expected floating-point tensors, but these are not: {', '.join(odd[:6])}")


def _plain(key: str, tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    """A contiguous CPU tensor that owns all of its memory, as the file format wants it."""
    plain = tensor.detach().to("cpu", dtype or tensor.dtype).contiguous()
    if plain.untyped_storage().nbytes() != plain.numel() * plain.element_size():
        plain = plain.clone()
    if dtype is not None and not plain.isfinite().all() and tensor.isfinite().all():
        raise CheckpointError(f"{key} has values too large for {dtype}; save as bfloat16 or float32")
    return plain
