"""YAML configurations that ship with the package, and the reader for them and for users' own files."""

from ssa_stream.configs.loader import config_names, load_config

__all__ = ["config_names", "load_config"]
