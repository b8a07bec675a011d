"""Checkpoints that come with the package, by name."""

from importlib.resources import files
from pathlib import Path

from ssa_stream.checkpoints.files import existing_file
from ssa_stream.errors import CheckpointError

__all__ = ["DEFAULT_CHECKPOINT", "located", "shipped_checkpoints"]

DEFAULT_CHECKPOINT = "ssa-tiny"
"""What is used where nothing is said."""

_ENDING = ".safetensors"


def shipped_checkpoints() -> dict[str, Path]:
    """Files of the checkpoints that come with the package, by name."""
    folder = Path(str(files("ssa_stream.checkpoints").joinpath("weights")))
    return {path.name.removesuffix(_ENDING): path for path in sorted(folder.glob(f"*{_ENDING}"))}


def located(checkpoint: str | Path) -> Path:
    """Find a checkpoint.

    Args:
        checkpoint: A file, or the name of a shipped one. A file of that name comes first.
    Raises:
        CheckpointError: It is neither.
    """
    shipped = shipped_checkpoints()
    name = str(checkpoint)
    if name in shipped and not Path(name).is_file():
        return shipped[name]
    try:
        return existing_file(checkpoint)
    except CheckpointError as error:
        raise CheckpointError(f"{error}; shipped checkpoints are: {', '.join(shipped) or 'none'}") from error
