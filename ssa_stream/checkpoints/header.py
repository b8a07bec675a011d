"""The header of a safetensors file, looked at before the library does.

The library keeps the last of two entries with one name and takes headers of 100 MB. Ours have some kilobytes.
"""

from pathlib import Path

from ssa_stream.files import open_ordinary
from ssa_stream.strict_json import parse_json
from ssa_stream.texts import brief

__all__ = ["check_header"]

_LENGTH_BYTES = 8
_MOST_BYTES = 16 * 2**20


def check_header(path: Path) -> None:
    """Refuse a file that has no header, or one that is ambiguous or of hostile size.

    Raises:
        OSError: The file cannot be read, or is none.
        ValueError: The header is refused; says why.
    """
    with open_ordinary(path) as file:
        start = file.read(_LENGTH_BYTES)
        length = int.from_bytes(start, "little")
        if len(start) < _LENGTH_BYTES or length > _MOST_BYTES:
            raise ValueError(f"its header claims {length:,} bytes; expected at most {_MOST_BYTES:,}")
        content = file.read(length)
    if len(content) < length:
        raise ValueError(f"it ends within its header, which claims {length:,} bytes")
    header = parse_json(content)
    if not isinstance(header, dict):
        raise ValueError(f"its header is {brief(header)}; expected tensors by name")
