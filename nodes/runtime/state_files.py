"""Files in which a node saves the state of its streams for its next start."""

from pathlib import Path

from ssa_stream.files import write_whole

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
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Written often. A node that dies does not take it along; one that a power cut damaged is not used.
        write_whole(self.path(stream), data, survives_power_cut=False)


def run_folder(address: str) -> Path | None:
    """The folder of a graph's sockets, which lives as long as the graph.

    Args:
        address: Of a socket of the graph.
    Returns:
        None if the graph is one process: nothing in it is restarted alone.
    """
    path = address.removeprefix("ipc://")
    return Path(path).parent if path != address else None
