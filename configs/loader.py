"""Read a configuration by its shipped name or by a path. What it means is up to the class that it configures."""

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml

from ssa_stream.errors import ConfigError

__all__ = ["config_names", "load_config"]


def _folder(kind: str) -> Traversable:
    return files("ssa_stream.configs").joinpath(kind)


def config_names(kind: str) -> list[str]:
    """Names of the shipped configurations of a kind.

    Args:
        kind: `model`, `pipeline` or `train`.
    """
    folder = _folder(kind)
    if not folder.is_dir():
        return []
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def load_config(kind: str, name: str | Path) -> dict[str, Any]:
    """Read a YAML file into plain dictionaries.

    Args:
        kind: `model`, `pipeline` or `train`.
        name: A shipped name such as `ssa-tiny`, or the path of a YAML file (recognised by its ending or a slash).
    Raises:
        ConfigError: No such name or file, not YAML, or its top level is not a mapping.
    """
    is_path = isinstance(name, Path) or "/" in name or name.endswith((".yaml", ".yml"))
    source: Traversable = Path(name) if is_path else _folder(kind).joinpath(f"{name}.yaml")
    try:
        text = source.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        known = ", ".join(config_names(kind)) or "none"
        raise ConfigError(
            f"cannot read {kind} configuration {str(name)!r} ({error}); give one of: {known}, or a path ending in .yaml"
        ) from error
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{kind} configuration {str(name)!r} is not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise ConfigError(
            f"{kind} configuration {str(name)!r} holds a {type(content).__name__}; expected a mapping at the top level"
        )
    return content
