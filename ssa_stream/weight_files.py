"""Weight files as files: where they are, and which one it is. Loads no torch; `ssa_stream.checkpoints` reads them."""

import hashlib
import json
import os
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ssa_stream.errors import CheckpointError, misnamed

__all__ = [
    "DEFAULT_CHECKPOINT",
    "FileLook",
    "WeightFile",
    "check_torch_file",
    "existing_file",
    "located",
    "look",
    "read_metadata",
    "shipped_checkpoints",
]

DEFAULT_CHECKPOINT = "ssa-tiny"
"""What is used where nothing is said."""

_ENDING = ".safetensors"
_TORCH_BEGINS = (b"PK", b"\x80")
_MOST_HEADER_BYTES = 100_000_000
"""As the safetensors library has it."""


class FileLook(NamedTuple):
    """What tells, without reading a file, whether it was replaced or written to."""

    device: int
    number: int
    size_bytes: int
    written_ns: int
    changed_ns: int


def look(checkpoint: str | Path) -> FileLook:
    """Look at a weight file.

    Raises:
        CheckpointError: It is not there.
    """
    path = located(checkpoint)
    try:
        status = os.stat(path)
    except OSError as error:
        raise CheckpointError(f"cannot read {path} ({error.strerror})") from error
    return FileLook(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


@dataclass(frozen=True, slots=True)
class WeightFile:
    """The content of a weight file at one moment.

    Attributes:
        fingerprint: SHA-256 of the whole file, as `sha256sum` prints it.
        network: The configuration in its header, as it was written there; empty if there is none.
    """

    fingerprint: str
    network: str

    @classmethod
    def read(cls, checkpoint: str | Path) -> "WeightFile":
        """Read a file once, from its beginning to its end: about a second for a gigabyte.

        Args:
            checkpoint: The file, or the name of a shipped one.
        Raises:
            CheckpointError: It is not there, or cannot be read.
        """
        path = located(checkpoint)
        try:
            with path.open("rb") as file:
                network = _metadata(file).get("config", "")
                file.seek(0)
                return cls(hashlib.file_digest(file, "sha256").hexdigest(), network)
        except OSError as error:
            raise CheckpointError(f"cannot read {path} ({error.strerror})") from error


def read_metadata(path: Path) -> dict[str, str]:
    """The texts in a file's header; empty where it has none. Whether it makes sense is checked by whoever loads it."""
    try:
        with path.open("rb") as file:
            return _metadata(file)
    except OSError:
        return {}


def _metadata(file: BinaryIO) -> dict[str, str]:
    size = int.from_bytes(file.read(8), "little")
    if size > _MOST_HEADER_BYTES:
        return {}
    try:
        found = json.loads(file.read(size))["__metadata__"]
        return {key: text for key, text in found.items() if isinstance(text, str)}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def shipped_checkpoints() -> dict[str, Path]:
    """Files of the checkpoints that come with the package, by name."""
    folder = Path(str(files("ssa_stream").joinpath("checkpoints", "weights")))
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
        error.args = (f"{error}; shipped checkpoints are: {', '.join(shipped) or 'none'}",)
        raise


def check_torch_file(path: Path) -> None:
    """Refuse what by its first bytes is no file of torch: neither a zip nor a pickle.

    Raises:
        CheckpointError: It is none, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            begin = file.read(9)
    except OSError as error:
        raise CheckpointError(f"cannot read {path} ({error.strerror})") from error
    if begin.startswith(_TORCH_BEGINS):
        return
    is_safe = begin[8:] == b"{" and int.from_bytes(begin[:8], "little") <= _MOST_HEADER_BYTES
    what = "it is a safetensors file" if is_safe else "it is neither a zip file nor a pickle"
    raise CheckpointError(f"{path} is not a whole torch file ({what}); expected a .pth, .pt or .bin state dict")


def existing_file(path: str | Path) -> Path:
    """Return `path` if it is a file.

    Raises:
        CheckpointError: There is nothing there, a folder, a pipe or a device, or it may not be looked at.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise misnamed(CheckpointError(f"{path} is a folder; expected a weight file"))
        if path.is_file():
            return path
        if path.exists():
            raise misnamed(CheckpointError(f"{path} is a pipe or a device; expected a weight file"))
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error
    raise misnamed(CheckpointError(f"there is no file {path}"))
