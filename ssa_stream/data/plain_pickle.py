"""Pickles from anywhere, read as data: lists, dictionaries, texts and numbers, and nothing that runs.

A pickle is a program. Only those of its instructions are known here that make plain values; one that names a function
or a class is refused before anything is looked up.
"""

import pickle
import pickletools
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar, Final, NoReturn

from ssa_stream.errors import ConfigError
from ssa_stream.files import read_limited
from ssa_stream.texts import brief

__all__ = ["read_plain_pickle"]

_MOST_CONTAINERS: Final = 10_000_000
"""The largest public file has about half a million."""
_NAMES: Final = {opcode.code.encode("latin-1")[0]: opcode.name for opcode in pickletools.opcodes}
_COUNTED: Final = frozenset({"MARK", "EMPTY_LIST", "EMPTY_DICT"})
_PLAIN: Final = _COUNTED | frozenset(
    "PROTO FRAME STOP LIST DICT APPEND APPENDS SETITEM SETITEMS EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 "
    "INT LONG LONG1 LONG4 BININT BININT1 BININT2 FLOAT BINFLOAT NONE NEWTRUE NEWFALSE "
    "STRING BINSTRING SHORT_BINSTRING UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8 "
    "PUT BINPUT LONG_BINPUT MEMOIZE GET BINGET LONG_BINGET".split()
)
_ASKING: Final = frozenset({"GLOBAL", "STACK_GLOBAL", "INST", "PERSID", "BINPERSID"})
"""These are refused by the methods below, which know what was asked for."""


class _Refused(Exception):
    """The pickle is no plain data; says why."""


class _PlainUnpickler(pickle._Unpickler):
    """Knows no other instructions than those of plain data.

    It is the one of the standard library in Python, as that in C cannot be limited: there, one instruction of five
    bytes can ask for gigabytes.
    """

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = {
        code: step for code, step in pickle._Unpickler.dispatch.items() if _NAMES[code] in _PLAIN | _ASKING
    }

    def find_class(self, module: str, name: str) -> NoReturn:
        raise _Refused(f"it asks for {brief(f'{module}.{name}')}")

    def persistent_load(self, pid: object) -> NoReturn:
        raise _Refused(f"it asks for an object of another program, {brief(pid)}")


def _counted(step: Callable[[Any], None]) -> Callable[[Any], None]:
    def counted(unpickler: Any) -> None:
        unpickler.num_containers = getattr(unpickler, "num_containers", 0) + 1
        if unpickler.num_containers > _MOST_CONTAINERS:
            raise _Refused(f"it has more than {_MOST_CONTAINERS:,} lists and dictionaries")
        step(unpickler)

    return counted


_PlainUnpickler.dispatch.update(
    {code: _counted(step) for code, step in _PlainUnpickler.dispatch.items() if _NAMES[code] in _COUNTED}
)


def read_plain_pickle(path: Path, *, most_bytes: int) -> Any:
    """Read a pickle of lists, tuples, dictionaries, texts, numbers, booleans and None.

    Args:
        path: The file, of any protocol. The byte strings of Python 2 become texts: UTF-8, or else Latin-1.
        most_bytes: A larger file is refused.
    Returns:
        The value; one list may stand at many places in it, or within itself.
    Raises:
        FileNotFoundError: There is no such file.
        ConfigError: It is too large, cut off, no pickle, or holds anything else; what it asked for is named.
    """
    try:
        content = read_limited(path, most_bytes=most_bytes)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    try:
        try:
            return _load(content, "utf-8")
        except UnicodeDecodeError:
            return _load(content, "latin-1")
    except _Refused as refusal:
        problem = str(refusal)
    except EOFError:
        problem = "it is cut off"
    except Exception as error:  # instructions that make no sense fail wherever they happen to
        said = "too many digits" if "set_int_max_str_digits" in str(error) else brief(error)
        problem = f"it is cut off or broken ({said})"
    raise ConfigError(
        f"{path} is refused as a pickle: {problem}; expected lists, dictionaries, texts and numbers only. Take it from "
        f"the data set's own archive"
    )


def _load(content: bytes, encoding: str) -> Any:
    unpickler = _PlainUnpickler(BytesIO(content), encoding=encoding)
    try:
        return unpickler.load()
    except KeyError as error:
        code = error.args[0] if error.args else None
        if isinstance(code, int) and code not in _PlainUnpickler.dispatch:
            raise _Refused(f"it has the instruction {_NAMES.get(code, f'{code:#04x}')}") from None
        raise
