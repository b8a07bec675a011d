"""Tables in text files, as data sets bring them: comma-separated values, from anywhere, within limits."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ssa_stream.errors import ConfigError
from ssa_stream.files import read_limited

__all__ = ["plain_sentence", "read_rows", "read_table", "read_text"]

_MOST_BYTES: Final = 64 * 2**20
_MOST_CHARACTERS: Final = 1000
"""Of a sentence, as in a message."""


def read_text(path: Path, expected: str) -> str:
    """Read a UTF-8 text file.

    Args:
        path: Where it is.
        expected: What the folder should be, for the message where the file is missing.
    Raises:
        ConfigError: The file is missing, too large or no UTF-8.
    """
    try:
        return read_limited(path, most_bytes=_MOST_BYTES).decode("utf-8-sig")
    except FileNotFoundError as error:
        raise ConfigError(f"{path} is missing; expected {expected}") from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read as UTF-8 text: {error}") from error


def read_rows(path: Path, columns: int, expected: str) -> Iterator[tuple[int, list[str]]]:
    """Read rows of comma-separated values; empty lines are passed over.

    Args:
        path: Where the file is.
        columns: Values in each row.
        expected: See `read_text`.
    Yields:
        The number of the line in which a row ends, and its values.
    Raises:
        ConfigError: See `read_text`; or a row has another number of values.
    """
    rows = csv.reader(io.StringIO(read_text(path, expected), newline=""))
    try:
        for row in rows:
            if row and len(row) != columns:
                raise ConfigError(
                    f"{path}, line {rows.line_num}: {len(row)} values; expected {columns}: put a value that holds a "
                    f'comma into "quotes"'
                )
            if row:
                yield rows.line_num, row
    except csv.Error as error:
        raise ConfigError(f"{path}, line {rows.line_num}: {error}") from error


def read_table(path: Path, header: tuple[str, ...], expected: str) -> Iterator[tuple[int, list[str]]]:
    """As `read_rows`, for a file whose first row is `header`, which is left out."""
    rows = read_rows(path, len(header), expected)
    _, first = next(rows, (0, []))
    if tuple(name.strip() for name in first) != header:
        raise ConfigError(f"{path} begins with {','.join(first)[:80]!r}; expected {','.join(header)}")
    return rows


def plain_sentence(text: str, where: str) -> str:
    """A sentence in small letters, with single spaces.

    Args:
        text: As in the file.
        where: The file and the place in it, for messages.
    Raises:
        ConfigError: It is empty or longer than 1,000 characters.
    """
    plain = " ".join(text.lower().split())
    if not plain or len(plain) > _MOST_CHARACTERS:
        raise ConfigError(f"{where}: a sentence of {len(plain)} characters; expected 1 to {_MOST_CHARACTERS}")
    return plain
