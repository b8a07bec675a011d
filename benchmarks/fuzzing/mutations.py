"""Ways to make good files hostile; every choice comes from the given source of chance."""

import copy
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ssa_stream.errors import SsaStreamError

__all__ = ["HOSTILE_TEXTS", "break_bytes", "break_values", "misplace", "nested", "outcome"]

HOSTILE_TEXTS = (
    *(
        "",
        " ",
        "\0",
        "a\0b",
        "\ud800",
        "caf\udce9",
        "\x1b[2J",
        "\u202e",
        "\ufeff",
        "\n",
        "a" * 5000,
        "9" * 5000,
        "1e999",
    ),
    *("../../../etc/passwd", "/etc/passwd", "..", ".", "a/b", "~", "hf-hub:timm/resnet18", "local-dir:/etc", "C:\\x"),
    *(
        "http://127.0.0.1:9/x",
        "file:///etc/passwd",
        "${HOME}",
        "%s%n",
        "{0}",
        "[red]x[/]",
        "2026-02-30",
        "<<",
        "&a",
        "*a",
    ),
    *("convnext_nowhere", "__class__", "null", "NaN", "-0", "true", "0x10", "1_000"),
)
_HOSTILE_NUMBERS = (
    *(0, -1, 1, 2, 3, 7, 77, 10**3, 10**5, 2**31 - 1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63), 10**30),
    *(0.5, -0.0, 1e308, -1e308, 5e-324, float("nan"), float("inf"), float("-inf"), True, False),
)
_HOSTILE_OTHERS: tuple[Any, ...] = (None, [], {}, [[]], [{}], {"a": {}}, [None] * 300, {"": None}, {"a": 1, "b": [1]})


def hostile_value(chance: random.Random) -> Any:
    """A value that hardly any field is ready for."""
    kind = chance.random()
    if kind < 0.4:
        return chance.choice(HOSTILE_TEXTS)
    return chance.choice(_HOSTILE_NUMBERS) if kind < 0.8 else copy.deepcopy(chance.choice(_HOSTILE_OTHERS))


def nested(chance: random.Random) -> Any:
    """Lists or mappings, one within the other; only as deep as Python can still write them down."""
    value: Any = chance.choice([None, 1, "x"])
    for _ in range(chance.choice([3, 30, 64, 100])):
        value = [value] if chance.random() < 0.5 else {"a": value}
    return value


def break_values(chance: random.Random, root: Any) -> None:
    """Change one to three values anywhere within plain values: other types, extremes, missing, doubled, too many."""
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        _break_one(chance, root)


def _break_one(chance: random.Random, node: Any) -> None:
    keys = list(node) if isinstance(node, dict) else list(range(len(node)))
    if not keys:
        return
    key = chance.choice(keys)
    inner = node[key]
    if isinstance(inner, dict | list) and inner and chance.random() < 0.8:
        _break_one(chance, inner)
        return
    way = chance.random()
    if way < 0.12:
        del node[key]
    elif way < 0.22 and isinstance(node, dict):
        node[chance.choice(HOSTILE_TEXTS)] = node.pop(key)
    elif way < 0.3 and isinstance(node, dict):
        node[chance.choice(["surprise", *HOSTILE_TEXTS])] = hostile_value(chance)
    elif way < 0.38 and isinstance(node, list):
        node += [copy.deepcopy(inner)] * chance.choice([1, 3, 200])
    elif way < 0.45:
        node[key] = nested(chance)
    else:
        node[key] = hostile_value(chance)


def break_bytes(chance: random.Random, content: bytes) -> bytes:
    """Bytes cut off, changed, removed, added, doubled; or noise."""
    data = bytearray(content)
    way = chance.randrange(6)
    if way == 0:
        return bytes(data[: chance.randrange(len(data) + 1)])
    if way == 1:
        return chance.randbytes(chance.choice([0, 1, 7, 8, 9, 100, 5000]))
    if way == 2:
        return bytes(data) + chance.choice([b"\0", b"x" * 1000, bytes(data)])
    if way == 3:
        return chance.choice([b"\xef\xbb\xbf", b"\xff\xfe", b"\xff", b"\x80"]) + bytes(data)
    for _ in range(chance.choice([1, 1, 2, 5, 20])):
        at = chance.randrange(len(data) + 1)
        data[at : at + chance.choice([0, 1, 1, 1, 8])] = chance.randbytes(chance.choice([0, 1, 1, 1, 8]))
    return bytes(data)


def misplace(chance: random.Random, path: Path) -> None:
    """Put something else where a file is: nothing, a folder, a pipe that nobody writes, a device, a link to itself.

    Args:
        chance: Which.
        path: The file; it may be missing.
    """
    path.unlink(missing_ok=True)
    ways: tuple[Callable[[], object], ...] = (
        lambda: None,
        path.mkdir,
        lambda: os.mkfifo(path),
        lambda: path.symlink_to("/dev/zero"),
        lambda: path.symlink_to(path.name),
        lambda: path.symlink_to("/nowhere/at/all"),
        lambda: path.write_bytes(b""),
        lambda: _sparse(path, chance.choice([2**27, 2**31 + 1, 2**40])),
    )
    chance.choice(ways)()


def _sparse(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.truncate(size)


def outcome(read: Callable[[Path], object], path: Path) -> str:
    """What becomes of a file: `taken`, or `refused` with an error of the package; anything else comes out as it is."""
    try:
        read(path)
    except SsaStreamError:
        return "refused"
    return "taken"
