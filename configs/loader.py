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

_PLURALS = {"model": "models", "pipeline": "pipelines", "train": "training configurations"}
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
    known = ", ".join(names) or "none"
    try:
        if is_path:
            content = read_limited(name, most_bytes=MAX_BYTES)
        elif name in names:
            content = _folder(kind).joinpath(f"{name}.yaml").read_bytes()
        else:
            raise OSError("there is no configuration of that name")
        text = content.decode("utf-8-sig")
    except FileNotFoundError as error:
        raise ConfigError(f"there is no file {name}; shipped {_PLURALS.get(kind, kind)} are: {known}") from error
    except (OSError, UnicodeDecodeError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or error
        raise ConfigError(
            f"cannot read {kind} configuration {str(name)!r} ({why}); give one of: {known}, or a path ending in .yaml"
        ) from error
    try:
        values = parse_yaml(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{kind} configuration {name} is not valid YAML: {_told(error)[:_LONGEST]}") from error
    if not isinstance(values, dict):
        raise ConfigError(
            f"{kind} configuration {str(name)!r} holds a {type(values).__name__}; expected a mapping at the top level"
        )
    return values


def _told(error: yaml.YAMLError) -> str:
    """What is wrong with a YAML text and where, in one line."""
    mark = error.problem_mark or error.context_mark if isinstance(error, yaml.MarkedYAMLError) else None
    if mark is None or not isinstance(error, yaml.MarkedYAMLError):
        return " ".join(str(error).split())
    said = ", ".join(text for text in (error.problem, error.context) if text)
    return f"line {mark.line + 1}, column {mark.column + 1}: {' '.join(said.split())}"
