"""The tables of fields in docs/protocol.md, made of the message classes and their docstrings.

python -m tests.unit.protocols.field_tables     # writes them anew into docs/protocol.md
"""

import inspect
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import msgspec.inspect as types

from ssa_stream.protocols import MESSAGE_TYPES, fields
from tests.support.checkout import ROOT

DOCUMENT = ROOT / "docs" / "protocol.md"
# Version that brought a field, for those that came later than their message; of a message, under the field "".
SINCE: dict[tuple[str, str], str] = {
    ("masks", "prompts_version"): "1.1",
    ("masks", "picture"): "1.1",
    ("video_queries", "prompts_version"): "1.1",
    ("prompts", "by_client"): "1.1",
    ("heartbeat", "streams"): "1.1",
    ("source_state", "complete_at"): "1.1",
    ("statistics", "busy"): "1.1",
    **{("BusyTime", name): "1.1" for name in ("name", "seconds")},
    **{("stream_load", name): "1.1" for name in ("", "stream", "at_ns", "clock", "masks_hz", "stage", "text")},
    ("EncodedPicture", "buffer"): "1.1",
    ("EncodedPicture", "size"): "1.1",
    ("EncodedPicture", "encoding"): "1.1",
}
FIRST_VERSION = "1.0"
KINDS = {
    "name": fields.Name,
    "keyword": fields.Keyword,
    "clock": fields.ClockName,
    "note": fields.Note,
    "prompt text": fields.PromptText,
    "whole": fields.Whole,
    "positive": fields.Positive,
    "int64": fields.Nanoseconds,
    "seconds": fields.Seconds,
    "share": fields.Share,
    "buffer": fields.BufferIndex,
    "side": fields.Side,
    "edge": fields.Edge,
}
_NAMED = {str(types.type_info(kind)): name for name, kind in KINDS.items()}
_MARK = "<!-- fields of {} -->"
_END = "<!-- end -->"


def parts_of_messages() -> dict[str, type[Any]]:
    """Structures that occur within messages, by name."""
    found: dict[str, type[Any]] = {}
    for kind in MESSAGE_TYPES.values():
        for field in _fields(kind):
            _collect(field.type, found)
    return dict(sorted(found.items()))


def table(kind: type[Any]) -> str:
    """Table of a structure's fields, in the order in which they are written."""
    meanings = _meanings(kind)
    tag = kind.__struct_config__.tag
    lines = ["| field | type | default | since | meaning |", "| --- | --- | --- | --- | --- |"]
    for field in _fields(kind):
        if field.name == "v":
            continue
        default = _default(field)
        since = SINCE.get((tag or kind.__name__, field.name), FIRST_VERSION)
        lines.append(f"| `{field.name}` | {_type(field.type)} | {default} | {since} | {meanings[field.name]} |")
    return "\n".join(lines)


def marked_kinds() -> dict[str, type[Any]]:
    """Everything that has a table: parts by class name, messages by type."""
    return parts_of_messages() | MESSAGE_TYPES


def filled(document: str) -> str:
    """The document with all tables as they should be."""
    for name, kind in marked_kinds().items():
        start = _MARK.format(name) + "\n"
        before, found_start, rest = document.partition(start)
        _, found_end, after = rest.partition("\n" + _END)
        if not (found_start and found_end):
            raise ValueError(f"docs/protocol.md has no place for the fields of {name}: {start!r} ... {_END!r}")
        document = before + start + table(kind) + "\n" + _END + after
    return document


def _fields(kind: type[Any]) -> tuple[types.Field, ...]:
    info = types.type_info(kind)
    assert isinstance(info, types.StructType)
    return info.fields


def _collect(info: types.Type, found: dict[str, type[Any]]) -> None:
    match info:
        case types.StructType():
            found[info.cls.__name__] = info.cls
            for field in info.fields:
                _collect(field.type, found)
        case types.UnionType():
            for item in info.types:
                _collect(item, found)
        case types.VarTupleType():
            _collect(info.item_type, found)
        case types.TupleType():
            for item in info.item_types:
                _collect(item, found)


def _meanings(kind: type[Any]) -> dict[str, str]:
    """What the docstring says of each field."""
    text = inspect.cleandoc(kind.__doc__ or "").partition("Attributes:\n")[2]
    items = re.findall(r"^    (\w+): (.*?)(?=^    \w+: |\Z)", text, re.DOTALL | re.MULTILINE)
    return {name: " ".join(meaning.split()).replace("None", "null") for name, meaning in items}


def _default(field: types.Field) -> str:
    if field.required:
        return ""
    return "absent" if field.default is msgspec.NODEFAULT else f"`{_plain(field.default)}`"


def _plain(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _type(info: types.Type) -> str:
    if str(info) in _NAMED:
        return _NAMED[str(info)]
    match info:
        case types.StructType():
            return info.cls.__name__
        case types.LiteralType():
            return ", ".join(f"`{value}`" for value in sorted(map(str, info.values)))
        case types.UnionType():
            return " or ".join(sorted(map(_type, info.types), key=lambda name: name == "null"))
        case types.VarTupleType():
            return f"list of {_range(info.min_length or 0, info.max_length)} {_type(info.item_type)}"
        case types.TupleType():
            return f"[{', '.join(map(_type, info.item_types))}]"
        case types.DictType():
            return f"map of {_range(0, info.max_length)}: {_type(info.key_type)} to {_type(info.value_type)}"
        case types.IntType():
            return f"integer {_range(info.ge, info.le)}"
        case types.FloatType():
            return f"float {_range(info.ge if info.gt is None else f'>{info.gt:g}', info.le)}"
        case types.StrType():
            return f"string of {_range(info.min_length or 0, info.max_length)}"
        case types.BoolType():
            return "boolean"
        case types.NoneType():
            return "null"
    raise AssertionError(f"no name for {info}")


def _range(low: object, high: object) -> str:
    return f"{_number(low)}..{_number(high)}"


def _number(value: object) -> str:
    named = {2**63 - 1: "2^63-1", -(2**63) + 1: "-2^63+1", 2**31 - 1: "2^31-1", 2**31: "2^31"}
    if isinstance(value, float):
        return f"{value:g}"
    return named.get(value, str(value)) if isinstance(value, int) else str(value)


def headings() -> Iterator[str]:
    """Every message type and part, for the test that each is described."""
    yield from (f"### `{name}`" for name in MESSAGE_TYPES)
    yield from (f"### {name}" for name in parts_of_messages())


def main() -> None:
    """Write the tables."""
    DOCUMENT.write_text(filled(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
