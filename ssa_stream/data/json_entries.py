"""A JSON object that is too large to be held in memory: an index of where each of its values is.

The file is gone through once, in pieces. Values are read and parsed when they are asked for.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt

from ssa_stream.errors import ConfigError
from ssa_stream.files import open_ordinary
from ssa_stream.strict_json import parse_json
from ssa_stream.texts import brief

__all__ = ["JsonEntries"]

_PIECE_BYTES: Final = 2**20
_MOST_ENTRY_BYTES: Final = 2**26
_MOST_OUTLINE_BYTES: Final = 2**24
"""Of keys, colons and commas."""
_QUOTE, _BACKSLASH, _OPENS, _CLOSES = 1, 2, 3, 4
_KINDS: Final = np.zeros(256, np.uint8)
for _letters, _kind in ((b'"', _QUOTE), (b"\\", _BACKSLASH), (b"[{", _OPENS), (b"]}", _CLOSES)):
    _KINDS[list(_letters)] = _kind


class JsonEntries:
    """Lists in a JSON object, by their keys. Small, and can be sent to other processes.

    Args:
        path: The file.
        most_bytes: A larger file is refused.
        expected: What the folder should be, for the message where the file is missing.
    Raises:
        ConfigError: The file is missing, too large, or no JSON object. What is wrong inside of an entry is found when
            that is asked for.
    """

    def __init__(self, path: Path, *, most_bytes: int, expected: str) -> None:
        self._path = path
        self._expected = expected
        scan = _Scan()
        with self._opened() as file:
            self._version = _version(file)
            if self._version[0] > most_bytes:
                raise OSError(f"it has more than {most_bytes:,} bytes, which is more than such a file may have")
            while piece := file.read(_PIECE_BYTES):
                scan.add(piece)
            outline = parse_json(scan.outline())
        if not isinstance(outline, dict):
            raise ConfigError(f"{path}: top level is {type(outline).__name__}; expected an object")
        self._numbers: dict[str, Any] = outline
        self._starts, self._ends = scan.spans()

    def entry(self, key: str) -> list[Any]:
        """Read one list.

        Raises:
            ConfigError: There is no such key, the value is no list or broken, or the file is not as it was.
        """
        if key not in self._numbers:
            raise ConfigError(f"{self._path}: top level has no field {brief(key)}; expected list")
        value = self._numbers[key]
        if isinstance(value, list):  # the outline has a list of one number for each entry, and no other lists
            start, end = int(self._starts[value[0]]), int(self._ends[value[0]])
            with self._opened() as file:
                if _version(file) != self._version:
                    raise OSError("it was changed after its index was read; start again")
                if end - start > _MOST_ENTRY_BYTES:
                    raise ValueError(f"{brief(key)} has more than {_MOST_ENTRY_BYTES:,} bytes")
                file.seek(start)
                value = parse_json(file.read(end - start))
        if not isinstance(value, list):
            raise ConfigError(f"{self._path}: top level.{key} is {type(value).__name__}; expected list")
        return value

    @contextmanager
    def _opened(self) -> Iterator[BinaryIO]:
        try:
            with open_ordinary(self._path) as file:
                yield file
        except FileNotFoundError as error:
            raise ConfigError(f"{self._path} is missing; expected {self._expected}") from error
        except (OSError, ValueError) as error:
            raise ConfigError(f"{self._path} cannot be read as JSON: {error}") from error


def _version(file: BinaryIO) -> tuple[int, int]:
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns


class _Scan:
    """Finds the objects and lists that are one level below the top of a JSON text, which comes in pieces.

    Of each piece only quotes, backslashes and brackets are looked at, all at once. What is between the values, with
    `[0]`, `[1]`, ... in place of them, is the outline: it is parsed as JSON, so keys may be written in any way, and
    what is wrong there is found.
    """

    def __init__(self) -> None:
        self._offset = 0
        self._depth = 0
        self._in_string = False
        self._after_backslash = False
        self._outline = bytearray()
        self._count = 0
        self._starts: list[npt.NDArray[np.int64]] = []
        self._ends: list[npt.NDArray[np.int64]] = []

    def add(self, piece: bytes) -> None:
        """Go through the next piece.

        Raises:
            ValueError: There is too much between the values.
        """
        kinds = _KINDS[np.frombuffer(piece, np.uint8)]
        places = np.flatnonzero(kinds)
        kinds = kinds[places]
        quotes = self._unescaped(places[kinds == _QUOTE], places[kinds == _BACKSLASH], len(piece))
        is_bracket = kinds >= _OPENS
        brackets, opens = places[is_bracket], kinds[is_bracket] == _OPENS
        is_outside = (np.searchsorted(quotes, brackets) + self._in_string) % 2 == 0
        brackets, opens = brackets[is_outside], opens[is_outside]
        depths = self._depth + np.cumsum(np.where(opens, 1, -1))
        starts, ends = brackets[opens & (depths == 2)], brackets[~opens & (depths == 1)] + 1
        self._starts.append(starts + self._offset)
        self._ends.append(ends + self._offset)
        self._add_outline(piece, starts, ends)
        self._in_string ^= bool(len(quotes) % 2)
        if len(depths):
            self._depth = int(depths[-1])
        self._offset += len(piece)

    def outline(self) -> bytes:
        """The text with a list of its number in place of each value."""
        return bytes(self._outline)

    def spans(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Where each value starts, and where it ends."""
        return np.concatenate(self._starts), np.concatenate(self._ends)

    def _unescaped(
        self, quotes: npt.NDArray[np.int64], backslashes: npt.NDArray[np.int64], length: int
    ) -> npt.NDArray[np.int64]:
        """The quotes that do not follow an odd number of backslashes; and remember whether the next piece would."""
        if self._after_backslash:
            backslashes = np.concatenate([[-1], backslashes])
        if not len(backslashes):
            return quotes
        is_first = np.diff(backslashes, prepend=-3) != 1
        firsts = np.maximum.accumulate(np.where(is_first, backslashes, -1))  # of the row that each is in
        before = np.searchsorted(backslashes, quotes) - 1
        follows = (before >= 0) & (backslashes[before] == quotes - 1)
        is_escaped = follows & ((quotes - firsts[before]) % 2 == 1)
        self._after_backslash = bool(backslashes[-1] == length - 1 and (length - firsts[-1]) % 2 == 1)
        unescaped: npt.NDArray[np.int64] = quotes[~is_escaped]
        return unescaped

    def _add_outline(self, piece: bytes, starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]) -> None:
        is_inside = self._depth >= 2
        edges = np.sort(np.concatenate([starts, ends])).tolist()
        between_from = 0
        for edge in edges:
            if is_inside:
                between_from = edge
            else:
                self._keep(piece[between_from:edge] + b"[%d]" % self._count)
                self._count += 1
            is_inside = not is_inside
        if not is_inside:
            self._keep(piece[between_from:])

    def _keep(self, text: bytes) -> None:
        self._outline += text
        if len(self._outline) > _MOST_OUTLINE_BYTES:
            raise ValueError(f"it has more than {_MOST_OUTLINE_BYTES:,} bytes beside its entries")
