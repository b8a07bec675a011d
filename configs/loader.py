"""Read a configuration by its shipped name or by a path. What it means is up to the class that it configures."""

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml

from ssa_stream.configs.strict_yaml import MAX_BYTES, parse_yaml
from ssa_stream.errors import ConfigError
from ssa_stream.files import read_limited

__all__ = ["config_names", "load_config"]

_LONGEST = 1000
"""Characters of what PyYAML says; it may repeat text of the file."""


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
        ConfigError: No such name or file, not YAML or such as `parse_yaml` refuses, or its top level is not a mapping.
    """
    is_path = isinstance(name, Path) or "/" in name or name.endswith((".yaml", ".yml"))
    names = config_names(kind)
    try:
        if is_path:
            content = read_limited(name, most_bytes=MAX_BYTES)
        elif name in names:
            content = _folder(kind).joinpath(f"{name}.yaml").read_bytes()
        else:
            raise FileNotFoundError("there is no configuration of that name")
        text = content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        known = ", ".join(names) or "none"
        raise ConfigError(
            f"cannot read {kind} configuration {str(name)!r} ({error}); give one of: {known}, or a path ending in .yaml"
        ) from error
    try:
        values = parse_yaml(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{kind} configuration {str(name)!r} is not valid YAML: {str(error)[:_LONGEST]}") from error
    if not isinstance(values, dict):
        raise ConfigError(
            f"{kind} configuration {str(name)!r} holds a {type(values).__name__}; expected a mapping at the top level"
        )
    return values
