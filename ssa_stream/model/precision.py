"""How exactly the pixel decoder computes: as published, in float32, or fast, with its large matrices in bfloat16."""

from typing import Final, Literal, cast, get_args

import torch

from ssa_stream.errors import ConfigError

__all__ = ["FAST_TYPE", "PRECISIONS", "Precision", "checked_precision", "default_precision"]

Precision = Literal["published", "fast"]
PRECISIONS: tuple[str, ...] = get_args(Precision)
FAST_TYPE: Final = torch.bfloat16


def default_precision(device: torch.device, dtype: torch.dtype) -> Precision:
    """What is taken where nobody says: published for float32 on a processor, where bfloat16 may be slow; else fast."""
    return "published" if device.type == "cpu" and dtype == torch.float32 else "fast"


def checked_precision(precision: str | None, device: torch.device, dtype: torch.dtype) -> Precision:
    """The precision, or the default of a device and a type.

    Raises:
        ConfigError: There is no such precision.
    """
    if precision is None:
        return default_precision(device, dtype)
    if precision not in PRECISIONS:
        raise ConfigError(f"precision is {precision!r}; expected {' or '.join(PRECISIONS)}")
    return cast(Precision, precision)
