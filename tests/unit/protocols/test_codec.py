"""Messages come back as they were sent, without a copy; what does not fit is refused, on both sides."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ssa_stream.errors import ConfigError, MessageError
from ssa_stream.protocols import (
    MESSAGE_TYPES,
    Buffers,
    FrameMessage,
    Limits,
    MaskFeaturesMessage,
    MaskMessage,
    Topic,
    decode,
    encode,
)
from tests.unit.protocols.samples import WORK, samples
from tests.unit.protocols.strategies import packets_of

pytestmark = pytest.mark.slow

LIMITS = Limits()


class FrameLike:
    """What a zmq frame is to the codec."""

    def __init__(self, data: bytes | memoryview) -> None:
        self.buffer = memoryview(data)


@pytest.mark.parametrize("name", MESSAGE_TYPES)
@settings(max_examples=12, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_any_message_comes_back_equal(name: str, data: st.DataObject) -> None:
    """Every field and every buffer, of whatever can be sent."""
    message, buffers = data.draw(packets_of(name))
    packet = decode(encode(message, buffers), LIMITS)
    assert packet.message == message
    assert list(packet.buffers) == [buffers[i] for i in range(len(buffers))]
    assert packet.topic is None


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview, FrameLike], ids=lambda wrap: wrap.__name__)
def test_decode_takes_whatever_a_socket_gives(wrap: Any) -> None:
    """Bytes, views, and objects with a `.buffer`."""
    sample = samples()["masks"]
    parts = encode(sample.message, sample.buffers, topic=sample.topic)
    packet = decode([wrap(bytes(part)) for part in parts], LIMITS)
    assert (packet.message, packet.topic) == (sample.message, Topic("cam0", "masks", "p1"))


@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float32, np.int64], ids=lambda dtype: dtype.__name__)
def test_tensor_is_never_copied(dtype: type) -> None:
    """Not when it is sent and not when it is read."""
    features: NDArray[Any] = np.arange(24).reshape(2, 3, 4).astype(dtype)
    buffers = Buffers()
    spec = buffers.add(features)
    message = MaskFeaturesMessage(work=WORK, first_row=0, rows=(0,), mask_features=(spec,))
    parts = encode(message, buffers)
    assert np.shares_memory(np.frombuffer(parts[2], dtype=np.uint8), features)
    packet = decode(parts, LIMITS)
    received = packet.array(spec)
    assert np.shares_memory(received, features)
    assert np.array_equal(received, features)
    assert packet.data(spec).nbytes == features.nbytes


def test_channels_last_tensor_keeps_shape_and_memory_order() -> None:
    """The receiver's strides are the sender's."""
    features = np.moveaxis(np.arange(24, dtype=np.float32).reshape(3, 4, 2), -1, 0)
    buffers = Buffers()
    spec = buffers.add(features, channels_last=True)
    message = MaskFeaturesMessage(work=WORK, first_row=0, rows=(0,), mask_features=(spec,))
    received = decode(encode(message, buffers), LIMITS).array(spec)
    assert np.shares_memory(received, features)
    assert (received.shape, received.strides) == (features.shape, features.strides)
    assert np.array_equal(received, features)


def test_bfloat16_travels_as_its_bits() -> None:
    """Numpy does not know the type."""
    bits = np.array([0x3F80, 0xC000], dtype=np.uint16)
    buffers = Buffers()
    spec = buffers.add(bits, dtype="bfloat16")
    assert (spec.dtype, spec.shape, spec.nbytes) == ("bfloat16", (2,), 4)
    assert bytes(buffers[0]) == bits.tobytes()


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4), dtype=np.float32)[:, ::2],
        np.zeros((4, 4), dtype=np.float32).T[1:],
        np.zeros(3, dtype=np.complex64),
        np.zeros(3, dtype=object),
        np.zeros(3, dtype=">f4"),
        np.zeros(3, dtype=np.float64),
    ],
    ids=["gaps", "transposed", "complex", "object", "big-endian", "float64"],
)
def test_tensor_that_would_need_a_copy_is_refused(array: np.ndarray[Any, Any]) -> None:
    """No silent conversion."""
    with pytest.raises(MessageError, match=r"array of .* expected"):
        Buffers().add(array)


def _mask_parts() -> list[bytes]:
    sample = samples()["masks"]
    return [bytes(part) for part in encode(sample.message, sample.buffers, topic=sample.topic)]


@pytest.mark.parametrize(
    ("limit", "complaint"),
    [
        ({"max_frames": 5}, "6 parts.*at most 5"),
        ({"max_header_bytes": 200}, "bytes of header.*at most 200"),
        ({"max_buffer_bytes": 20}, "173 bytes in a buffer.*at most 20"),
        ({"max_message_bytes": 400}, "bytes in all.*at most 400"),
        ({"max_unpacked_bytes": 100}, "bytes to unpack; at most 100"),
        ({"max_depth": 2}, "more than 2 deep"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_message_beyond_a_limit_is_refused_by_name(limit: dict[str, int], complaint: str) -> None:
    """The reader is told which limit it was."""
    with pytest.raises(MessageError, match=complaint):
        decode(_mask_parts(), Limits(**limit))
    if "max_depth" not in limit:
        sample = samples()["masks"]
        with pytest.raises(MessageError, match=complaint):
            encode(sample.message, sample.buffers, topic=sample.topic, limits=Limits(**limit))


@pytest.mark.parametrize("value", [0, -1, 1.5, True, None])
def test_limits_are_whole_numbers(value: Any) -> None:
    """A limit of zero would refuse everything."""
    with pytest.raises(ConfigError, match=r"Limits.max_frames is"):
        Limits(max_frames=value)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda parts: [], "0 parts"),
        (lambda parts: parts[:1], "1 parts"),
        (lambda parts: parts[:-1], "picture is in buffer 3, but 3 came"),
        (lambda parts: [*parts, b"more"], "5 buffers came with MaskMessage, which names 4"),
        (lambda parts: [parts[0], parts[1][:-1], *parts[2:]], "truncated"),
        (lambda parts: [parts[0], parts[1] + b"\0", *parts[2:]], "trailing"),
        (lambda parts: [b"v1/cam0/masks/p1/x", *parts[1:]], "topic .* is not one"),
        (lambda parts: [b"v2/cam0/masks/p1", *parts[1:]], "protocol version 2; this side reads version 1"),
        (lambda parts: [b"v1/cam0/" + b"m" * 300, *parts[1:]], "bytes of topic"),
        (lambda parts: [parts[0], b"\x91" + parts[1], *parts[2:]], "cannot be read"),
        (lambda parts: [parts[0], "text", *parts[2:]], "a message part is str"),
        (lambda parts: [parts[0], parts[1], b"", *parts[3:]], "claims 24 bytes from 0 bytes of LZ4"),
    ],
    ids=[
        *("empty", "topic_only", "buffer_missing", "buffer_too_many", "header_cut", "header_longer", "topic_deeper"),
        *("topic_of_version_2", "topic_too_long", "header_is_a_list", "not_bytes", "buffer_empty"),
    ],
)
def test_malformed_message_is_refused_with_a_reason(change: Any, complaint: str) -> None:
    """What came and what was expected."""
    with pytest.raises(MessageError, match=complaint):
        decode(change(_mask_parts()), LIMITS)


def test_tensor_of_another_length_is_refused() -> None:
    """One byte less or more than the shape says."""
    sample = samples()["frame_queries"]
    topic, header, queries, text = encode(sample.message, sample.buffers)
    for broken in (bytes(queries)[:-1], bytes(queries) + b"\0", b""):
        with pytest.raises(MessageError, match=r"FrameQueriesMessage\.queries takes 48 bytes, but its buffer has"):
            decode([topic, header, broken, text], LIMITS)


def test_message_that_no_reader_would_take_is_not_sent() -> None:
    """The sender hears of it, not the receivers."""
    sample = samples()["masks"]
    assert isinstance(sample.message, MaskMessage)
    bad_values: list[dict[str, Any]] = [
        {"probability": float("nan")},
        {"probability": 1.5},
        {"probability": -0.5},
        {"model": "a/b"},
        {"size": (0, 6)},
        {"frames_missed": 2**63},
        {"status": "maybe"},
        {"frame": None},
    ]
    for bad in bad_values:
        with pytest.raises((MessageError, ValueError, TypeError)):
            encode(_changed(sample.message, **bad), sample.buffers)


def test_two_fields_in_one_buffer_are_refused() -> None:
    """Else a small message could be made to unpack many times."""
    sample = samples()["masks"]
    assert isinstance(sample.message, MaskMessage)
    twice = (sample.message.layers[0], sample.message.layers[0])
    with pytest.raises(MessageError, match="name the same buffer"):
        encode(_changed(sample.message, layers=twice), sample.buffers)


def test_frame_must_be_a_picture() -> None:
    """Of three channels."""
    with pytest.raises(ValueError, match=r"expected uint8 \(height, width, 3\)"):
        FrameMessage(work=WORK, image=Buffers().add(np.zeros((4, 4), dtype=np.uint8)))


def test_defaults_hold_the_largest_messages_of_the_design() -> None:
    """Mask features of a 4K frame in float32; label maps of an 8K frame."""
    assert Limits().max_buffer_bytes >= 256 * (2176 // 4) * (3840 // 4) * 4 // 2
    assert Limits().max_unpacked_bytes >= 4320 * 7680 * 4
    assert dataclasses.replace(Limits(), max_frames=2).max_frames == 2


def _changed(message: MaskMessage, **changes: Any) -> MaskMessage:
    values = {name: getattr(message, name) for name in message.__struct_fields__}
    return MaskMessage(**(values | changes))
