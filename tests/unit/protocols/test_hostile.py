"""Whatever comes from the network: a MessageError, in little time and memory, never anything else."""

import random
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.fuzzing.codec import WAYS, Way, attempt, consume, examine, golden
from ssa_stream.errors import MessageError
from ssa_stream.protocols import Limits, decode
from ssa_stream.protocols.header import nesting_depth

HOSTILE_DEPTH = 60_000
SMALL_STACK_BYTES = 256 * 1024
MEMORY_BYTES = 512 * 1024


@pytest.fixture
def _traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.usefixtures("_traced")
def test_broken_messages_are_refused(tmp_path: Path) -> None:
    """Golden messages broken in every way of the fuzzer; `python -m benchmarks.fuzz` tries longer."""
    outcomes = {attempt(seed, tmp_path) for seed in range(1500)}
    assert outcomes == {"taken", "unknown", "refused"}


@pytest.mark.parametrize("way", WAYS, ids=lambda way: str(way.__name__))
def test_every_way_of_breaking_finds_messages_to_refuse(way: Way) -> None:
    """Else it would try nothing."""
    source = random.Random(1)
    outcomes = [examine(way(source, source.choice(golden()))).outcome for _ in range(60)]
    assert "refused" in outcomes
    assert set(outcomes) <= {"taken", "unknown", "refused"}


def test_fuzzer_takes_the_golden_messages_themselves() -> None:
    """Else it would only ever see refusals."""
    assert {examine(parts).outcome for parts in golden()} == {"taken"}


@settings(max_examples=150, deadline=None, database=None)
@given(st.lists(st.binary(max_size=64), max_size=6))
def test_random_bytes_are_refused(frames: list[bytes]) -> None:
    """Noise is not a message."""
    with pytest.raises(MessageError):
        decode(frames, Limits())


@settings(max_examples=150, deadline=None, database=None)
@given(st.data())
def test_flipped_bytes_are_refused_or_taken_whole(data: st.DataObject) -> None:
    """Hypothesis looks for a byte that breaks the codec."""
    parts = data.draw(st.sampled_from(golden()))
    which = data.draw(st.integers(0, len(parts) - 1))
    at = data.draw(st.integers(0, len(parts[which])))
    parts[which] = (
        parts[which][:at] + data.draw(st.binary(max_size=9)) + parts[which][at + data.draw(st.integers(0, 9)) :]
    )
    try:
        packet = decode(parts, Limits(max_unpacked_bytes=2**20))
    except MessageError:
        return
    consume(packet)


@pytest.mark.parametrize("level", [b"\x91", b"\x81\xa1a", b"\xdd\x00\x00\x00\x01", b"\x92\x01"], ids=bytes.hex)
@pytest.mark.parametrize("field", [b"\xa1?", b"\xa5times", b"\xa5frame", b""], ids=["unknown", "list", "map", "key"])
def test_deep_nesting_is_refused_however_small_the_stack(level: bytes, field: bytes) -> None:
    """Also where the program has raised the recursion limit and a thread has little stack."""
    depth = HOSTILE_DEPTH // len(level)
    header = b"\x83\xa4type\xa5masks\xa1v\x92\x01\x00" + field + level * depth + b"\xc0"
    outcome: list[str] = []

    def attempt() -> None:
        try:
            decode([b"", header], Limits())
        except MessageError as error:
            outcome.append(str(error))

    limit, stack = sys.getrecursionlimit(), threading.stack_size(SMALL_STACK_BYTES)
    sys.setrecursionlimit(10**6)
    try:
        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join()
    finally:
        sys.setrecursionlimit(limit)
        threading.stack_size(stack)
    assert "more than 128 deep" in outcome[0]


@pytest.mark.parametrize(("depth", "is_taken"), [(126, True), (128, False)])
def test_depth_limit_holds_exactly(depth: int, is_taken: bool) -> None:
    """The map of the header is one level itself."""
    fields = {"type": "list_prompts", "v": [1, 9], "request_id": "r", "stream": "s"}
    header = bytearray(msgspec.msgpack.encode(fields))
    header[0] += 1
    frames = [b"", bytes(header) + b"\xa1?" + b"\x91" * depth + b"\xc0"]
    if is_taken:
        assert decode(frames, Limits()).message
    else:
        with pytest.raises(MessageError, match="more than 128 deep"):
            decode(frames, Limits())


def _depth(value: object) -> int:
    match value:
        case dict():
            return bool(value) + max(map(_depth, value.values()), default=0)
        case list():
            return bool(value) + max(map(_depth, value), default=0)
    return 0


_LEAVES = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary()
_TREES = st.recursive(_LEAVES, lambda nodes: st.lists(nodes) | st.dictionaries(st.text(), nodes), max_leaves=30)


@settings(max_examples=60, deadline=None, database=None)
@given(_TREES, st.integers(0, 70_000))
def test_nesting_depth_is_counted_right(tree: object, padding: int) -> None:
    """Through every kind of value, also the long ones."""
    extensions = [msgspec.msgpack.Ext(4, b"y" * length) for length in (1, 2, 4, 8, 16, padding % 40, padding)]
    packed = msgspec.msgpack.encode([*extensions, "x" * padding, b"z" * padding, tree])
    assert nesting_depth(packed, 1000) == _depth([tree, 0])


@pytest.mark.usefixtures("_traced")
@pytest.mark.parametrize("claim", [b"\xdd", b"\xdf", b"\xdb", b"\xc6", b"\xc9"], ids=bytes.hex)
@pytest.mark.parametrize("field", [b"tracks", b"model", b"?", b"times", b"size"], ids=bytes.decode)
def test_claimed_lengths_take_no_memory(claim: bytes, field: bytes) -> None:
    """Four gigabytes that never come."""
    name = bytes([0xA0 + len(field)]) + field
    header = b"\x83\xa4type\xa5masks\xa1v\x92\x01\x00" + name + claim + b"\xff\xff\xff\xff\x01"
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    with pytest.raises(MessageError):
        decode([b"", header], Limits())
    assert tracemalloc.get_traced_memory()[1] - before < MEMORY_BYTES


@pytest.mark.usefixtures("_traced")
@pytest.mark.parametrize(
    ("size", "raw_bytes", "complaint"),
    [
        ([32768, 32768], 2**30, "more than LZ4 can give"),
        ([32768, 32768], 24, "raw_bytes is 24 for 32768x32768"),
        ([4, 6], 2**30, "raw_bytes is 1073741824 for 6x4"),
        ([2**31, 2**31], 2**62, "Expected `int` <="),
    ],
    ids=["both", "size", "raw_bytes", "beyond_the_protocol"],
)
def test_label_maps_that_claim_much_take_no_memory(size: list[int], raw_bytes: int, complaint: str) -> None:
    """Refused before anything is unpacked."""
    parts = next(parts for parts in golden() if b"masks" in parts[0])
    header = msgspec.msgpack.decode(parts[1])
    header["size"] = size
    for layer in header["layers"]:
        layer["raw_bytes"] = raw_bytes
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    with pytest.raises(MessageError, match=complaint):
        decode([parts[0], msgspec.msgpack.encode(header), *parts[2:]], Limits())
    assert tracemalloc.get_traced_memory()[1] - before < MEMORY_BYTES
