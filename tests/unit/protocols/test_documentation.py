"""docs/protocol.md says what the code does: tables, examples, values and limits."""

import re
from dataclasses import fields

import lz4.block
import numpy as np
import pytest

from ssa_stream.protocols import (
    KINDS,
    NODES,
    VERSION,
    DropReason,
    ErrorCode,
    EventKind,
    Limits,
    MaskMessage,
    decode_counts,
    encode,
)
from ssa_stream.protocols.fields import MAX_PROMPTS
from ssa_stream.protocols.topics import MAX_TOPIC_BYTES
from tests.unit.protocols.field_tables import DOCUMENT, SINCE, filled, headings
from tests.unit.protocols.samples import LABELS, OVERLAP, Sample, samples

TEXT = DOCUMENT.read_text(encoding="utf-8")


def test_tables_are_those_of_the_classes() -> None:
    """`python -m tests.unit.protocols.field_tables` writes them anew."""
    assert filled(TEXT) == TEXT
    assert [heading for heading in headings() if f"\n{heading}\n" not in TEXT] == []


def test_every_field_has_a_meaning_and_a_version() -> None:
    """No later version than this one."""
    rows = re.findall(r"^\| `\w+` \| [^|]+ \| [^|]* \| (\d+)\.(\d+) \| ([^|]+) \|$", TEXT, re.MULTILINE)
    assert len(rows) > 150
    assert all((int(major), int(minor)) <= VERSION and meaning.strip() for major, minor, meaning in rows)
    assert set(SINCE.values()) <= {f"{VERSION[0]}.{minor}" for minor in range(VERSION[1] + 1)}
    assert f"version **{VERSION[0]}.{VERSION[1]}**" in TEXT


@pytest.mark.parametrize("kind", [DropReason, EventKind, ErrorCode], ids=lambda kind: kind.__name__)
def test_open_enumerations_are_listed(kind: type[DropReason | EventKind | ErrorCode]) -> None:
    """In their row, all of them."""
    (row,) = (line for line in TEXT.splitlines() if f"(`{kind.__name__}`) |" in line)
    assert [value for value in kind if f"`{value}`" not in row] == []


def test_limits_are_the_defaults() -> None:
    """By name and number."""
    rows = dict(re.findall(r"^\| `(max_\w+)`[^|]* \| ([\d,]+) \|$", TEXT, re.MULTILINE))
    assert {name: int(number.replace(",", "")) for name, number in rows.items()} == {
        field.name: getattr(Limits(), field.name) for field in fields(Limits)
    }
    assert f"at most {MAX_TOPIC_BYTES} bytes" in TEXT
    assert f"Prompts of a stream are at most {MAX_PROMPTS}" in TEXT
    assert all(f"`{word}`" in TEXT for word in (*KINDS, NODES))


def _hexadecimal(block: str) -> bytes:
    """Bytes of an example: pairs at the beginnings of its lines."""
    rows = [re.match(r"(?:[0-9a-f]{2} {1,2})*[0-9a-f]{2}(?= {2}|$)", line) for line in block.splitlines()]
    return bytes.fromhex("".join(row[0] for row in rows if row))


def test_examples_in_hexadecimal_are_true() -> None:
    """A whole request, and the label map of the golden mask message."""
    header, labels = (_hexadecimal(block) for block in re.findall(r"```\n([0-9a-f]{2} .*?)```", TEXT, re.DOTALL))
    sample = samples()["list_prompts"]
    assert [b"", header] == encode(sample.message, sample.buffers)
    masks = samples()["masks"]
    assert labels == bytes(masks.buffers[0])
    assert lz4.block.decompress(labels, uncompressed_size=24) == LABELS.tobytes()


def test_description_of_the_golden_mask_message_is_true() -> None:
    """Track by track."""
    tracks = _mask_message(samples()["masks"]).tracks
    assert {(track.id, track.layer, track.label) for track in tracks} == {(5, 0, 1), (7, 0, 2), (6, 1, 3)}
    assert all(((label == LABELS) & (OVERLAP == 3)).any() for label in (1, 2))


def test_examples_of_packing_are_true() -> None:
    """LZ4 and run lengths."""
    assert "`1e 00 01 00 50 00 00 00 00 00`" in TEXT
    zeros = bytes.fromhex("1e 00 01 00 50 00 00 00 00 00")
    assert lz4.block.decompress(zeros, uncompressed_size=24) == bytes(24)
    assert "`34 32 32 30 3c` (`4220<`)" in TEXT
    assert np.array_equal(decode_counts(bytes.fromhex("34 32 32 30 3c"), (4, 6)), LABELS == 1)


def test_python_example_runs() -> None:
    """As it stands."""
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(code, str(DOCUMENT), "exec"), names)
    masks_of = names["masks_of"]
    sample = samples()["masks"]
    assert callable(masks_of)
    seq, text, found = masks_of(encode(sample.message, sample.buffers, topic=sample.topic))
    assert (seq, text, sorted(found)) == (41, "the person carrying the box", [5, 6, 7])
    assert np.array_equal(found[7], LABELS == 2)


def _mask_message(sample: Sample) -> MaskMessage:
    assert isinstance(sample.message, MaskMessage)
    return sample.message
