"""What a training run does, as data: settings that are decoded once and checked on the way in."""

import msgspec

__all__ = ["Settings", "require"]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Frozen, keyword-only, unknown keys refused."""


def require(condition: bool, message: str) -> None:
    """Refuse settings; `TrainConfig.from_mapping` makes a ConfigError of it.

    Raises:
        ValueError: The condition does not hold.
    """
    if not condition:
        raise ValueError(message)
