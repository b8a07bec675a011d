"""What all settings of the training have in common: strict decoding, and the limits of their values."""

from typing import Annotated

import msgspec
from msgspec import Meta

__all__ = ["EdgePx", "Frames", "Objects", "Settings", "Share", "Steps", "Weight", "Whole", "require"]

Whole = Annotated[int, Meta(ge=0, le=2**53)]
Steps = Annotated[int, Meta(ge=1, le=10**9)]
EdgePx = Annotated[int, Meta(ge=1, le=4096)]
Frames = Annotated[int, Meta(ge=1, le=1000)]
Objects = Annotated[int, Meta(ge=1, le=32)]
Share = Annotated[float, Meta(ge=0, le=1)]
Weight = Annotated[float, Meta(ge=-1e6, le=1e6)]
"""Finite by its limits."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Frozen, keyword-only, unknown keys refused."""


def require(condition: bool, message: str) -> None:
    """Refuse settings; `TrainConfig.from_mapping` makes a ConfigError of it.

    Raises:
        ValueError: The condition does not hold.
    """
    if not condition:
        raise ValueError(message)
