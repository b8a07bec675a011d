"""Readers and writers of different versions: what is tolerated, what is refused, and how."""

from typing import Any

import msgspec
import pytest

from ssa_stream.errors import MessageError
from ssa_stream.protocols import (
    MESSAGE_TYPES,
    SUPPORTED_VERSIONS,
    VERSION,
    AnyMessage,
    Heartbeat,
    Limits,
    MaskMessage,
    Unknown,
    decode,
    encode,
    negotiate,
)
from tests.unit.protocols.samples import samples

LIMITS = Limits()
NEXT_MINOR = [VERSION[0], VERSION[1] + 1]


def _required(kind: type[AnyMessage]) -> set[str]:
    return {field.name for field in msgspec.structs.fields(kind) if field.required}


def _changed(name: str, **changes: Any) -> list[bytes]:
    """A sample with changed header fields."""
    sample = samples()[name]
    topic, header, *buffers = (bytes(part) for part in encode(sample.message, sample.buffers, topic=sample.topic))
    fields = msgspec.msgpack.decode(header) | changes
    return [topic, msgspec.msgpack.encode(fields), *buffers]


@pytest.mark.parametrize("name", MESSAGE_TYPES)
def test_old_reader_passes_over_new_fields_and_buffers(name: str) -> None:
    """Of any type, also nested ones."""
    parts = [*_changed(name, v=NEXT_MINOR, novelty={"deep": [1, {"er": None}], "buffer": 9}), b"new buffer"]
    packet = decode(parts, LIMITS)
    expected = msgspec.to_builtins(samples()[name].message) | {"v": tuple(NEXT_MINOR)}
    assert msgspec.to_builtins(packet.message) == expected


def test_old_reader_passes_over_new_fields_of_parts() -> None:
    """In a track, in a frame's identity."""
    header = msgspec.to_builtins(samples()["masks"].message)
    tracks = [{**track, "velocity": [1.5, 2.5]} for track in header["tracks"]]
    packet = decode(_changed("masks", tracks=tracks, frame={**header["frame"], "camera": "left"}), LIMITS)
    assert packet.message == samples()["masks"].message


@pytest.mark.parametrize("name", MESSAGE_TYPES)
def test_new_reader_fills_in_fields_that_an_old_writer_lacks(name: str) -> None:
    """Fields with a default need not be there."""
    kind = MESSAGE_TYPES[name]
    message = samples()[name].message
    required = _required(kind)
    if name in ("masks", "frame"):  # these say what their buffers are
        required |= {"tracks", "layers", "history", "picture"}.intersection(kind.__struct_fields__)
    values = msgspec.to_builtins(message)
    sample = samples()[name]
    _, _, *buffers = encode(sample.message, sample.buffers)
    header = {"type": name, "v": list(VERSION)} | {field: values[field] for field in required}
    packet = decode([b"", msgspec.msgpack.encode(header), *buffers], LIMITS)
    assert isinstance(packet.message, kind)


def test_unknown_type_of_a_later_minor_is_passed_over() -> None:
    """It is no error of the sender; who looks for its own types does not find it."""
    packet = decode(_changed("event", type="novelty", v=NEXT_MINOR), LIMITS)
    assert packet.message == Unknown("novelty", (NEXT_MINOR[0], NEXT_MINOR[1]))


def test_unknown_type_of_a_known_minor_is_refused() -> None:
    """Nobody who speaks this version has such a message."""
    with pytest.raises(MessageError, match=r"'novelty' is not in protocol version 1\.1"):
        decode(_changed("event", type="novelty"), LIMITS)


@pytest.mark.parametrize("version", [[2, 0], [0, 1], [2**40, 3]], ids=str)
@pytest.mark.parametrize("name", ["masks", "hello", "novelty"])
def test_other_major_version_is_refused_clearly(version: list[int], name: str) -> None:
    """Whatever else is in it."""
    parts = _changed("masks", type=name, v=version, frame="something else")
    with pytest.raises(
        MessageError, match=rf"version {version[0]}\.{version[1]}; this side reads version 1\.x: update"
    ):
        decode(parts, LIMITS)


@pytest.mark.parametrize("field", ["type", "v"])
def test_header_without_its_envelope_is_refused(field: str) -> None:
    """Type and version are in every header, for ever."""
    sample = samples()["heartbeat"]
    header = msgspec.to_builtins(sample.message)
    del header[field]
    with pytest.raises(MessageError, match=f"missing required field `{field}`"):
        decode([b"", msgspec.msgpack.encode(header)], LIMITS)


def test_new_values_of_open_enumerations_are_taken() -> None:
    """A later version may have other reasons, kinds and roles."""
    for name, changes in {
        "event": {"kind": "sun_rose", "reason": "eclipse"},
        "heartbeat": {"role": "juggler"},
        "drop": {"reason": "eclipse"},
        "error": {"code": "teapot"},
        "source_state": {"status": "dreaming"},
        "recover": {"reason": "eclipse"},
    }.items():
        message = decode(_changed(name, **changes), LIMITS).message
        assert {field: getattr(message, field) for field in changes} == changes


def test_new_values_of_closed_enumerations_are_refused() -> None:
    """Who does not know a type of numbers cannot read them."""
    image = {"dtype": "float8", "shape": [2, 3, 3], "buffer": 0}
    with pytest.raises(MessageError, match="Invalid enum value 'float8'"):
        decode(_changed("frame", image=image, v=NEXT_MINOR), LIMITS)


def test_every_field_but_the_required_ones_has_a_default() -> None:
    """What version 1.0 required; a field that comes later must not be among them."""
    assert {kind: _required(kind) for kind in (MaskMessage, Heartbeat)} == {
        MaskMessage: {
            *("frame", "prompt", "model", "source_size", "size", "probability", "target_present"),
        },
        Heartbeat: {"node", "role", "incarnation", "beat", "at_ns", "clock", "ready"},
    }


@pytest.mark.parametrize(
    ("theirs", "ours", "agreed"),
    [
        ([(1, 0)], [(1, 0)], (1, 0)),
        ([(1, 4)], [(1, 2)], (1, 2)),
        ([(1, 4), (2, 0)], [(1, 2), (2, 3)], (2, 0)),
        ([(1, 4), (3, 0)], [(1, 9), (2, 3)], (1, 4)),
    ],
    ids=["same", "lower_minor", "highest_major", "common_major"],
)
def test_peers_agree_on_a_version(
    theirs: list[tuple[int, int]], ours: list[tuple[int, int]], agreed: tuple[int, int]
) -> None:
    """Whoever asks, the answer is the same."""
    assert negotiate(theirs, ours) == negotiate(ours, theirs) == agreed


@pytest.mark.parametrize("theirs", [[], [(2, 0)], [(0, 9), (3, 1)]], ids=str)
def test_peers_without_a_common_version_are_told(theirs: list[tuple[int, int]]) -> None:
    """And which is the older one."""
    with pytest.raises(MessageError, match=r"this side 1\.1; expected a common major version"):
        negotiate(theirs)
    assert SUPPORTED_VERSIONS[-1] == VERSION
