"""JSON from files of unknown origin: what is ambiguous, endless or no JSON at all is refused with one kind of error."""

import json
import re
from typing import Any, NoReturn

from ssa_stream.texts import brief, unencodable

__all__ = ["parse_json"]

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def parse_json(content: bytes | str, *, allows_not_a_number: bool = False) -> Any:
    """Read JSON text strictly.

    Refused, beside what is no JSON: a key that comes twice in an object, `NaN` and `Infinity`, nesting of many hundred
    levels, numbers of thousands of digits, half of a surrogate pair.

    Args:
        content: UTF-8, with or without a byte order mark.
        allows_not_a_number: Whether `NaN` and `Infinity` are taken as numbers, as Python writes and reads them.
    Raises:
        ValueError: It is refused; says what is wrong with it.
    """
    text = content if isinstance(content, str) else content.decode("utf-8-sig")
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_constant=float if allows_not_a_number else _refuse_constant
        )
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    except ValueError as error:
        if "set_int_max_str_digits" in str(error):  # advice for programmers
            raise ValueError("it holds a whole number of more digits than Python reads") from None
        raise
    if _SURROGATE.search(text) and (broken := unencodable(value)) is not None:
        raise ValueError(f"it holds half of a surrogate pair, in {brief(broken)}")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for number, key in enumerate(keys) if key in keys[:number])
        raise ValueError(f"the key {brief(twice)} comes twice in one object")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"it holds {name}, which is not JSON")
