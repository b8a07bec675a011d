"""Plain values to typed ones, with errors that name the key, its value and what was expected."""

import re
from typing import Any, Literal, TypeVar, get_args, get_origin

import msgspec

from ssa_stream.errors import ConfigError
from ssa_stream.texts import brief

__all__ = ["convert"]

_T = TypeVar("_T")
_MESSAGE = re.compile(r"^(?P<text>.*?)(?: - at `?(?P<in_key>key`? in )?`?\$(?P<path>[^`]*)`)?$", re.DOTALL)
_STEP = re.compile(r"\.(?P<name>\w+)|\[(?P<index>[0-9]+|\.\.\.)\]")
_FIELD = re.compile(r"Object (?P<what>contains unknown|missing required) field `(?P<name>.*)`")
_LISTED = 10
_NAMES = "names of letters, digits and _ . - that begin with a letter or digit and are short"


def convert(value: Any, kind: type[_T], origin: str, where: str = "") -> _T:
    """Check and convert.

    Args:
        value: As YAML gives it; parts may be converted already.
        kind: What it shall be, a struct.
        origin: What is read, for errors.
        where: Keys that lead to `value`, joined by dots.
    Raises:
        ConfigError: It does not fit.
    """
    try:
        return msgspec.convert(value, kind)
    except RecursionError:
        raise ConfigError(f"{origin}: {where or 'it'} is nested too deep") from None
    except msgspec.ValidationError as error:
        raise ConfigError(f"{origin}: {_explain(str(error), value, kind, where)}") from error


def _explain(message: str, value: Any, kind: type, where: str) -> str:
    match = _MESSAGE.match(message)
    assert match is not None  # it matches any text
    text, is_about_key = match["text"], match["in_key"] is not None
    found, keys = _follow(value, match["path"] or "")
    key = ".".join([*filter(None, [where]), *keys])
    if field := _FIELD.fullmatch(text):
        key = ".".join([*filter(None, [key]), field["name"]])
        if field["what"] == "missing required":
            return f"{key} is missing; expected a value"
        return f"{key} is not a setting; expected one of {', '.join(_known(kind, keys)) or 'those documented'}"
    if is_about_key and isinstance(found, dict):
        return f"{key} has the keys {', '.join(map(brief, list(found)[:_LISTED]))}; expected {_NAMES}"
    if not text.startswith(("Expected ", "Invalid ")):
        return f"{key}.{text}" if key else text  # our own words: the key within the section, its value, what is right
    return f"{key or 'it'} is {brief(found)}; expected {_expected(kind, keys) or _plain(text)}"


def _follow(value: Any, path: str) -> tuple[Any, list[str]]:
    """The value at a path of msgspec's, and its keys; as far as the path can be followed."""
    keys: list[str] = []
    for step in _STEP.finditer(path):
        key = step["name"] or step["index"]
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list | tuple) and key.isdecimal():
            value = value[int(key)]
        else:  # msgspec does not tell the keys of a mapping
            break
        keys.append(key)
    return value, keys


def _known(kind: Any, keys: list[str]) -> list[str]:
    """Names of the fields of the struct at the end of `keys`."""
    found = _type_at(kind, keys)
    return [field.name for field in msgspec.structs.fields(found)] if _is_struct(found) else []


def _expected(kind: Any, keys: list[str]) -> str:
    """What the type of a field says of itself; empty if it says nothing that msgspec does not."""
    found = _type_at(kind, keys)
    if get_origin(found) is Literal:
        return " or ".join(map(repr, get_args(found)))
    notes = [item.description for item in getattr(found, "__metadata__", ()) if isinstance(item, msgspec.Meta)]
    return notes[0] or "" if notes else ""


def _type_at(kind: Any, keys: list[str]) -> Any:
    """The type that a chain of fields leads to; None where it leaves the structs."""
    for key in keys:
        fields = {field.name: field.type for field in msgspec.structs.fields(kind)} if _is_struct(kind) else {}
        kind = fields.get(key)
    return kind


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _plain(text: str) -> str:
    words = text.partition(", got")[0].removeprefix("Expected ").replace("`", "")
    for name, plain in (
        ("str", "a text"), ("int", "a whole number"), ("float", "a number"), ("bool", "true or false"),
        ("object", "a mapping"), ("array", "a list"), ("null", "nothing"),
    ):  # fmt: skip
        words = re.sub(rf"\b{name}\b", plain, words)
    return words.replace(" | ", " or ")
