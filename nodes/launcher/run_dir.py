"""The folder of a running graph: socket files and the pipeline, for its owner only, removed with the graph."""

import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from ssa_stream.errors import ConfigError, TransportError
from ssa_stream.nodes.pipeline import PipelineConfig
from ssa_stream.nodes.runtime.transport.segments import segment_prefix

__all__ = ["RunDir", "remove_leftovers"]

# The longest path of a socket is 107 bytes on Linux, 103 on macOS.
_MAX_SOCKET_PATH = 103
_NAME = re.compile(r"ssa-(?P<graph>[a-z0-9-]{1,24})-(?P<pid>\d+)-[0-9a-f]{4}")
RemoveSegments = Callable[[str], object]


class RunDir:
    """A folder under the temporary one, and the shared memory whose names begin with its name.

    Args:
        config: Names the graph.
        remove_segments: Removes shared memory by the beginning of its name.
    """

    def __init__(self, config: PipelineConfig, remove_segments: RemoveSegments) -> None:
        self.path = Path(tempfile.gettempdir(), f"ssa-{config.name}-{os.getpid()}-{secrets.token_hex(2)}")
        self._remove_segments = remove_segments
        longest = max((self.path / f"{name}.sock" for name in config.all_names), key=lambda path: len(bytes(path)))
        if len(bytes(longest)) > _MAX_SOCKET_PATH:
            raise ConfigError(
                f"the socket file {longest} has a path of {len(bytes(longest))} bytes; at most {_MAX_SOCKET_PATH} are "
                f"possible: shorten the names of pipeline and streams, or set TMPDIR to a shorter folder"
            )

    @property
    def pipeline(self) -> Path:
        """Where the pipeline is written for the nodes."""
        return self.path / "pipeline.yaml"

    def make(self) -> None:
        """Make the folder.

        Raises:
            TransportError: It cannot be made.
        """
        try:
            self.path.mkdir(mode=0o700)
        except OSError as error:
            raise TransportError(
                f"cannot create the folder {self.path} for sockets ({error.strerror}); set TMPDIR to a folder that can "
                f"be written to"
            ) from error

    def remove(self) -> None:
        """Remove the folder and the shared memory. May be called again."""
        _remove(self.path, self._remove_segments)


def remove_leftovers(remove_segments: RemoveSegments) -> list[str]:
    """Remove what launchers left that were killed.

    Returns:
        Names of the graphs whose folders were removed.
    """
    removed: list[str] = []
    try:
        found = list(Path(tempfile.gettempdir()).glob("ssa-*"))
    except OSError:
        return removed  # clean-up ends nothing; the next graph tries again
    for path in found:
        match = _NAME.fullmatch(path.name)
        if match is None or not _is_ours(path) or _is_running(int(match["pid"])):
            continue
        _remove(path, remove_segments)
        removed.append(match["graph"])
    return removed


def _remove(path: Path, remove_segments: RemoveSegments) -> None:
    remove_segments(segment_prefix(path))
    shutil.rmtree(path, ignore_errors=True)


def _is_ours(path: Path) -> bool:
    try:
        status = path.lstat()
    except OSError:
        return False  # another launcher has just removed it
    return path.is_dir() and not path.is_symlink() and status.st_uid == os.getuid()


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
