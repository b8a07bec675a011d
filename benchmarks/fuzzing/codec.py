"""Broken and hostile messages for the codec: it must answer with MessageError, quickly, and without much memory.

Starts from the golden messages and breaks them in many ways. Whatever the codec takes is unpacked and read to the end,
and must be a message that can be sent again.
"""

import copy
import functools
import json
import random
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from ssa_stream.errors import MessageError
from ssa_stream.protocols import (
    VERSION,
    Limits,
    MaskMessage,
    Packet,
    TensorSpec,
    Unknown,
    decode,
    encode,
    unpack_labels,
)

GOLDEN = Path(__file__).resolve().parents[2] / "tests" / "contract" / "golden_messages"
LIMITS = Limits(max_unpacked_bytes=2**20)
# Memory that reading may take: objects of the header, and what masks unpack to.
MEMORY_BYTES = 4 * 2**20
TIME_S = 2.0
HOSTILE_VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1, -(2**63), float("nan"), float("inf"), 1e308),
    *("", "\0", "a" * 2000, "v1/x", "\u202e", b"", b"\xff" * 70, [], {}, [[]], [0] * 600, {"type": "masks"}),
    *("uint16", "bfloat16", "channels_last", "masks", "final", [2**31 - 1] * 6, [0, 0], [1, 2**63 - 1]),
    *(msgspec.msgpack.Ext(-1, b"\xff" * 12), msgspec.msgpack.Ext(5, b"")),
)
Parts = list[bytes]
Way = Callable[[random.Random, Parts], Parts]


class Finding(NamedTuple):
    """How one message fared: `taken`, `unknown`, `refused`, or what is wrong."""

    outcome: str
    seconds: float
    peak_bytes: int


def golden() -> list[Parts]:
    """All messages that there are, in all versions."""
    return [list(parts) for parts in _read_golden()]


@functools.cache
def _read_golden() -> list[tuple[bytes, ...]]:
    files = sorted(GOLDEN.glob("*/*.json"))
    return [tuple(bytes.fromhex(part) for part in json.loads(path.read_text())["parts"]) for path in files]


def consume(packet: Packet) -> None:
    """Read all that a taken message holds, and send it again."""
    message = packet.message
    if isinstance(message, Unknown):
        return
    for value in (getattr(message, name) for name in message.__struct_fields__):
        for spec in value if isinstance(value, tuple) else (value,):
            if isinstance(spec, TensorSpec):
                packet.array(spec).sum()
    if message.v <= VERSION:
        encode(message, packet.buffers, limits=LIMITS)
    if isinstance(message, MaskMessage):
        try:
            labels = unpack_labels(message, packet.buffers)
            for track in message.tracks:
                labels.mask(track)
        except MessageError:
            pass


def examine(parts: Parts) -> Finding:
    """Decode one message and judge what happens. Memory is only known while tracemalloc runs."""
    tracing = tracemalloc.is_tracing()
    if tracing:
        tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    start_s = time.perf_counter()
    try:
        packet = decode(parts, LIMITS)
        consume(packet)
        outcome = "unknown" if isinstance(packet.message, Unknown) else "taken"
    except MessageError as error:
        outcome = "refused" if len(str(error)) < 2000 else "an error text of hostile length"
    except Exception as error:  # whatever else comes is the finding
        outcome = f"{type(error).__name__}: {error}"
    seconds = time.perf_counter() - start_s
    peak = tracemalloc.get_traced_memory()[1] - before
    if outcome in ("taken", "unknown", "refused"):
        if peak > MEMORY_BYTES + 4 * sum(map(len, parts)):
            outcome = f"took {peak} bytes of memory"
        elif seconds > TIME_S:
            outcome = f"took {seconds:.1f} s"
    return Finding(outcome, seconds, peak)


def random_bytes(seed: random.Random, parts: Parts) -> Parts:
    """Nothing but noise."""
    del parts
    return [seed.randbytes(seed.choice([0, 1, 2, 8, 100, 3000])) for _ in range(seed.randrange(6))]


def noisy_header(seed: random.Random, parts: Parts) -> Parts:
    """Noise after the beginning of a header."""
    kept = seed.randrange(len(parts[1]))
    return [parts[0], parts[1][:kept] + seed.randbytes(seed.choice([1, 10, 1000])), *parts[2:]]


def flipped(seed: random.Random, parts: Parts) -> Parts:
    """Some bytes changed, added, removed."""
    which = seed.randrange(len(parts)) if seed.random() < 0.4 else 1
    data = bytearray(parts[which])
    for _ in range(seed.choice([1, 1, 2, 5, 20])):
        at = seed.randrange(len(data) + 1)
        data[at : at + seed.choice([0, 1, 1, 1, 4])] = seed.randbytes(seed.choice([0, 1, 1, 1, 4]))
    return [*parts[:which], bytes(data), *parts[which + 1 :]]


def reshuffled(seed: random.Random, parts: Parts) -> Parts:
    """Parts cut, missing, doubled, in another order, too many."""
    parts = list(parts)
    which = seed.randrange(len(parts))
    match seed.randrange(5):
        case 0:
            parts[which] = parts[which][: seed.randrange(len(parts[which]) + 1)]
        case 1:
            del parts[which]
        case 2:
            parts.insert(which, parts[which])
        case 3:
            seed.shuffle(parts)
        case _:
            parts += [b"x"] * seed.choice([1, 200, 400, 5000])
    return parts


def wrong_values(seed: random.Random, parts: Parts) -> Parts:
    """Well-formed headers in which values are missing, of another type, or extreme."""
    header = msgspec.msgpack.decode(parts[1])
    for _ in range(seed.choice([1, 1, 2, 3])):
        _break(seed, header)
    return [parts[0], _pack(header), *parts[2:]]


def nested(seed: random.Random, parts: Parts) -> Parts:
    """A field that is nested deep: one that is known, or not."""
    header = msgspec.msgpack.decode(parts[1])
    key = seed.choice([*header, "surprise"])
    header.pop(key, None)
    depth = seed.choice([3, 100, 127, 128, 129, 1000, 30_000])
    data = _pack(header)
    level = seed.choice([b"\x91", b"\x81\xa1a", b"\x92\x01", b"\xdd\x00\x00\x00\x01"])
    first = bytes([data[0] + 1]) if data[0] < 0x8F else b"\xde\x00" + bytes([(data[0] & 15) + 1])
    return [parts[0], first + data[1:] + _pack(key) + level * depth + b"\xc0", *parts[2:]]


def huge_claims(seed: random.Random, parts: Parts) -> Parts:
    """Lengths that promise gigabytes, in the header or in what masks unpack to."""
    header = msgspec.msgpack.decode(parts[1])
    if "layers" in header and seed.random() < 0.5:
        height, width = seed.choice([(32768, 32768), (1024, 1024), (500, 500), (1, 32768)])
        header |= {"size": [height, width], "tracks": [], "target_present": False}
        header["layers"] = [{**layer, "raw_bytes": height * width} for layer in header["layers"]]
        kept = len(header["layers"])
        block = seed.choice([b"\x1f\x00\x01\x00" + b"\xff" * 4200 + b"\x00" * 6, seed.randbytes(4200), b"\xff" * 5000])
        return [parts[0], _pack(header), *[block for _ in range(kept)]]
    data = _pack(header)
    at = seed.randrange(len(data))
    claim = seed.choice([b"\xdd", b"\xdf", b"\xdb", b"\xc6", b"\xc9"]) + seed.choice(
        [b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x00\xff\xff\xff"]
    )
    return [parts[0], data[:at] + claim + data[at:], *parts[2:]]


def later_minor(seed: random.Random, parts: Parts) -> Parts:
    """From a later or another version, with more fields, more buffers, another type."""
    header = msgspec.msgpack.decode(parts[1])
    header["v"] = seed.choice([[1, 1], [1, 2**40], [2, 0], [0, 9], [1], [1, 0, 0], "1.0", None])
    if seed.random() < 0.5:
        header["type"] = seed.choice(["novelty", "", "masks ", "a" * 100, 5])
    header["novel"] = copy.deepcopy(seed.choice(HOSTILE_VALUES))
    return [parts[0], _pack(header), *parts[2:], *[b"more"] * seed.randrange(3)]


def deadly_run_lengths(seed: random.Random, parts: Parts) -> Parts:
    """Run lengths that are malformed, endless, negative."""
    header = msgspec.msgpack.decode(parts[1])
    if header["type"] != "masks":
        return flipped(seed, parts)
    buffer = header["tracks"][0]["rle"]
    alphabet = bytes(range(48, 112))
    length = seed.choice([0, 1, 5, 100, 10_000])
    counts = seed.choice(
        [bytes(seed.choices(alphabet, k=length)), seed.randbytes(length), b"o" * length, b"0" * length]
    )
    header["tracks"][0]["label"] = 0
    broken = [parts[0], _pack(header), *parts[2:]]
    broken[2 + buffer] = counts
    return broken


WAYS: tuple[Way, ...] = (
    random_bytes,
    noisy_header,
    flipped,
    reshuffled,
    wrong_values,
    nested,
    huge_claims,
    later_minor,
    deadly_run_lengths,
)


def _pack(value: Any) -> bytes:
    return msgspec.msgpack.encode(value)


def _break(seed: random.Random, node: Any) -> None:
    """Change one value somewhere in a header."""
    keys = list(node) if isinstance(node, dict) else list(range(len(node)))
    if not keys:
        return
    key = seed.choice(keys)
    if isinstance(node[key], dict | list) and node[key] and seed.random() < 0.8:
        _break(seed, node[key])
    elif seed.random() < 0.15:
        del node[key]
    else:
        node[key] = copy.deepcopy(seed.choice(HOSTILE_VALUES))


def attempt(seed: int, folder: Path) -> str:
    """Break one message and decode it.

    Args:
        seed: Determines the message.
        folder: Not used.
    Returns:
        What became of it.
    Raises:
        AssertionError: The codec failed; tells the message.
    """
    del folder
    source = random.Random(seed)
    way = source.choice(WAYS)
    parts = way(source, source.choice(golden()))
    finding = examine(parts)
    assert finding.outcome in ("taken", "unknown", "refused"), (
        f"{way.__name__}: {finding.outcome}; parts: {[part.hex() for part in parts]}"
    )
    return finding.outcome
