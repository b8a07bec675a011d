"""Text that cannot be written as UTF-8, and values of any kind in an error of bounded length.

A file name of other bytes comes into Python with lone halves of surrogate pairs in it, and JSON and YAML can spell them
out. No file, message or terminal takes such text. What enters is refused (`unencodable`); what is written at the end
of long work is written with escapes instead (`encodable`), so that nothing finished is lost for it.
"""

import reprlib
from collections.abc import Mapping
from typing import Any

__all__ = ["brief", "encodable", "encodable_values", "unencodable"]

_SHOWN_CHARACTERS = 80
_REPR = reprlib.Repr()
_REPR.maxlevel = 3
_REPR.maxdict = _REPR.maxlist = _REPR.maxtuple = _REPR.maxset = 4
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = _SHOWN_CHARACTERS


def encodable(text: str) -> str:
    r"""The same text, with escapes such as `\udce9` for what UTF-8 cannot hold."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def encodable_values(value: Any) -> Any:
    """Plain values, such as msgspec's `to_builtins` gives, with every text made `encodable`."""
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, Mapping):
        return {encodable_values(key): encodable_values(part) for key, part in value.items()}
    return [encodable_values(part) for part in value] if isinstance(value, list | tuple) else value


def unencodable(value: object) -> str | None:
    """The first text within plain values, keys included, that UTF-8 cannot hold; None if there is none.

    Args:
        value: Text, numbers, mappings and lists, nested as deep as they like.
    """
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, str):
            if part.isascii() or _can_be_encoded(part):
                continue
            return part
        if isinstance(part, Mapping):
            waiting += [*part, *part.values()]
        elif isinstance(part, list | tuple):
            waiting += part
    return None


def brief(value: Any) -> str:
    """A value for an error: its representation, cut where it is long or deep."""
    try:
        text = _REPR.repr(value)
    except ValueError:  # a whole number of more digits than Python writes
        text = f"a {type(value).__name__} of very many digits"
    return text if len(text) <= 2 * _SHOWN_CHARACTERS else f"{text[: 2 * _SHOWN_CHARACTERS]}..."


def _can_be_encoded(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
