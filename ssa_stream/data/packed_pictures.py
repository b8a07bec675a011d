"""Pictures inside of an uncompressed tar file, read in place: an index of where each is, and no unpacking.

Nothing is written, so names of members lead nowhere: those that are not `[JPEGImages/]<video>/<file>` are passed over.
"""

import io
import tarfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final, cast

from ssa_stream.errors import ConfigError
from ssa_stream.files import open_ordinary
from ssa_stream.texts import encodable

__all__ = ["PackedPicture", "index_pictures"]

_FOLDER: Final = "JPEGImages"
_MOST_PICTURES: Final = 4_000_000
_MOST_PICTURE_BYTES: Final = 2**28
_MOST_HEADER_BYTES: Final = 2**16


@dataclass(frozen=True, slots=True)
class PackedPicture:
    """A file inside of a tar file."""

    archive: Path
    name: str
    offset: int
    size: int

    @property
    def parent(self) -> str:
        """The archive and the folder in it, for messages."""
        return f"{self.archive}: {PurePosixPath(self.name).parent}"

    def __str__(self) -> str:
        return f"{self.archive}: {self.name}"

    def open(self) -> BinaryIO:
        """Its content, as a file.

        Raises:
            OSError: The archive cannot be read, is cut off, or the file is larger than a picture may be.
        """
        if self.size > _MOST_PICTURE_BYTES:
            raise OSError(f"it has {self.size:,} bytes; expected at most {_MOST_PICTURE_BYTES:,}")
        with open_ordinary(self.archive) as file:
            file.seek(self.offset)
            content = file.read(self.size)
        if len(content) < self.size:
            raise OSError("the archive ends in the middle of it; download it again")
        return io.BytesIO(content)


def index_pictures(archive: Path) -> dict[tuple[str, str], tuple[int, int]]:
    """Where the files of a tar file are.

    Args:
        archive: An uncompressed tar file.
    Returns:
        Offset and size in bytes by names of folder and file. As when it is unpacked, the last of equal names holds.
    Raises:
        ConfigError: It is missing, cut off or no such file.
    """
    found: dict[tuple[str, str], tuple[int, int]] = {}
    try:
        with open_ordinary(archive) as file, tarfile.open(fileobj=cast(BinaryIO, _Headers(file)), mode="r:") as tar:
            offset = -1
            while (member := tar.next()) is not None:
                if tar.offset <= offset:
                    raise tarfile.ReadError("a size in it is negative")
                offset = tar.offset
                tar.members = []  # type: ignore[attr-defined]  # they would be kept, at a kilobyte each
                key = _key(member.name)
                if key is not None and member.isreg() and not member.issparse():
                    found[key] = (member.offset_data, member.size)
                    if len(found) > _MOST_PICTURES:
                        raise tarfile.ReadError(f"it has more than {_MOST_PICTURES:,} files")
    except FileNotFoundError as error:
        raise ConfigError(f"{archive} is missing; expected the pictures' tar file") from error
    except Exception as error:  # tarfile has errors of many kinds for headers that make no sense
        raise ConfigError(
            f"{archive} cannot be read as an uncompressed tar file: {encodable(str(error))}; unpack it, or get it again"
        ) from error
    return found


def _key(name: str) -> tuple[str, str] | None:
    """Names of folder and file of a member; None if it is no picture of a video."""
    parts = PurePosixPath(name).parts
    if len(parts) == 3 and parts[0] == _FOLDER:
        parts = parts[1:]
    return (parts[0], parts[1]) if len(parts) == 2 else None


class _Headers:
    """A file that is read in small pieces only: a header that claims to be large would be read into memory."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek = file.seek
        self.tell = file.tell

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MOST_HEADER_BYTES:
            raise tarfile.ReadError(f"a header has {size:,} bytes; expected at most {_MOST_HEADER_BYTES:,}")
        return self._file.read(size)
