"""The bytes of every message, as they are and as they were: a change here is a change of the protocol.

    python -m tests.contract.test_golden_messages     # writes the files of the version that the package writes

Files of an earlier version are never written again. They also serve as samples for readers in other languages: parts
of the multipart message in hexadecimal, and what the header says.
"""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ssa_stream.protocols import MESSAGE_TYPES, VERSION, Limits, decode, encode
from tests.unit.protocols.samples import Sample, samples

FOLDER = Path(__file__).parent / "golden_messages"
CURRENT = FOLDER / f"{VERSION[0]}.{VERSION[1]}"
HOW_TO = "if the protocol is meant to change, see 'Evolution' in docs/protocol.md; then write the files anew"


def parts_of(sample: Sample) -> list[bytes]:
    """A sample as it is sent."""
    return [bytes(part) for part in encode(sample.message, sample.buffers, topic=sample.topic)]


def golden_text(parts: list[bytes]) -> str:
    """Content of a golden file."""
    header = msgspec.msgpack.decode(parts[1])
    content = {"header": header, "parts": [part.hex() for part in parts]}
    return json.dumps(content, indent=1, ensure_ascii=True) + "\n"


def read_parts(path: Path) -> list[bytes]:
    """The multipart message in a golden file."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return [bytes.fromhex(part) for part in content["parts"]]


@pytest.mark.parametrize("name", MESSAGE_TYPES)
def test_message_bytes_are_the_golden_ones(name: str) -> None:
    """What is written does not change by accident."""
    assert golden_text(parts_of(samples()[name])) == (CURRENT / f"{name}.json").read_text(encoding="utf-8"), HOW_TO


@pytest.mark.parametrize("name", MESSAGE_TYPES)
def test_golden_bytes_are_read_as_the_message(name: str) -> None:
    """What was written is understood, to the last field."""
    parts = read_parts(CURRENT / f"{name}.json")
    packet = decode(parts, Limits())
    sample = samples()[name]
    assert (packet.message, packet.topic) == (sample.message, sample.topic)
    assert [bytes(buffer) for buffer in packet.buffers] == parts[2:]


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*/*.json")), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_golden_bytes_of_every_version_are_read(path: Path) -> None:
    """Recordings of earlier minor versions stay readable; their files belong to a message that there still is."""
    packet = decode(read_parts(path), Limits())
    assert packet.message.__class__ is MESSAGE_TYPES[path.stem]
    assert packet.message.v == tuple(map(int, path.parent.name.split(".")))


@pytest.mark.parametrize("name", MESSAGE_TYPES)
def test_samples_leave_no_field_at_its_default(name: str) -> None:
    """Golden bytes would not notice a field that is not read."""
    message = samples()[name].message
    constant = {"v", "colour"}
    defaults = {
        field.name
        for field in msgspec.structs.fields(message)
        if field.name not in constant and getattr(message, field.name) == field.default
    }
    assert defaults == set()


def main() -> None:
    """Write the files of the current version."""
    CURRENT.mkdir(exist_ok=True)
    for name, sample in samples().items():
        (CURRENT / f"{name}.json").write_text(golden_text(parts_of(sample)), encoding="utf-8")
    print(f"{len(samples())} files in {CURRENT}")


if __name__ == "__main__":
    main()
