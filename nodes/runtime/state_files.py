"""Files in which a node saves the state of its streams for its next start."""

import contextlib
import os
from pathlib import Path

__all__ = ["StateFiles", "run_folder"]


class StateFiles:
    """One file a stream, replaced as a whole or not at all.

    Args:
        folder: Made when it is missing.
        owner: Begin of the file names.
    """

    def __init__(self, folder: Path, owner: str) -> None:
        self._folder = folder
        self._owner = owner

    def path(self, stream: str) -> Path:
        """The file of a stream."""
        return self._folder / f"{self._owner}-{stream}.safetensors"

    def read(self, stream: str) -> bytes | None:
        """What was written last; None if nothing was.

        Raises:
            OSError: It cannot be read.
        """
        try:
            return self.path(stream).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, stream: str, data: bytes) -> None:
        """Replace the file of a stream.

        Raises:
            OSError: It cannot be written; the former content stays.
        """
        path = self.path(stream)
        self._folder.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.partial")
        try:
            partial.write_bytes(data)
            partial.replace(path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                partial.unlink()


def run_folder(address: str) -> Path | None:
    """The folder of a graph's sockets, which lives as long as the graph.

    Args:
        address: Of a socket of the graph.
    Returns:
        None if the graph is one process: nothing in it is restarted alone.
    """
    path = address.removeprefix("ipc://")
    return Path(path).parent if path != address else None
