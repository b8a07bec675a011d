"""Messages of data channels: commands are checked, masks fit into their limit."""

import json
import struct
from typing import Any

import lz4.block
import numpy as np
import pytest

from ssa_stream.errors import MessageError
from ssa_stream.nodes.gateway.page_messages import as_request, mask_bytes, read_command
from ssa_stream.protocols import (
    AddPrompt,
    Limits,
    ListPrompts,
    MaskMessage,
    NewPrompt,
    RemovePrompt,
    SetPrompts,
    decode,
)
from tests.support.mask_messages import circle, mask_parts


def read(data: bytes) -> tuple[dict[str, Any], list[np.ndarray[Any, Any]]]:
    """As the page reads it."""
    (length,) = struct.unpack("<I", data[:4])
    header = json.loads(data[4 : 4 + length])
    at, maps = 4 + length, []
    for layer in header["layers"]:
        raw = lz4.block.decompress(data[at : at + layer["bytes"]], uncompressed_size=layer["raw"])
        maps.append(np.frombuffer(raw, layer["dtype"]).reshape(header["size"]))
        at += layer["bytes"]
    assert at == len(data)
    return header, maps


def message(*masks: np.ndarray[Any, Any]) -> tuple[MaskMessage, tuple[memoryview, ...]]:
    """A message as it comes from the graph."""
    packet = decode(mask_parts(3, list(masks)), Limits())
    assert isinstance(packet.message, MaskMessage)
    return packet.message, packet.buffers


def test_mask_bytes_whole_message_is_what_the_graph_said() -> None:
    """Pixels, tracks and identity."""
    mask = circle()
    found, buffers = message(mask)
    data = mask_bytes(found, buffers, limit=10_000, extra={"video_pts": 7})
    assert data is not None
    header, (labels,) = read(data)
    track = header["tracks"][0]
    np.testing.assert_array_equal(labels == track["label"], mask)
    assert (header["prompt"], header["seq"], header["video_pts"]) == ("p1", 3, 7)
    assert (track["id"], track["box"], track["area"]) == (1, list(found.tracks[0].box_xyxy), int(mask.sum()))


def test_mask_bytes_no_tracks_is_header_only() -> None:
    """No target is a message as well."""
    found, buffers = message()
    data = mask_bytes(found, buffers, limit=10_000)
    assert data is not None
    header, maps = read(data)
    assert (header["tracks"], maps) == ([], [])


def test_mask_bytes_too_large_is_sent_smaller() -> None:
    """Noise does not compress; a quarter of its pixels does fit."""
    noise = np.random.default_rng(0).random((200, 200)) > 0.5
    found, buffers = message(noise)
    full = mask_bytes(found, buffers, limit=10**6)
    assert full is not None
    small = mask_bytes(found, buffers, limit=len(full) // 2)
    assert small is not None
    header, (labels,) = read(small)
    assert header["size"] == [100, 100]
    assert header["source_size"] == [200, 200]
    np.testing.assert_array_equal(labels == header["tracks"][0]["label"], noise[::2, ::2])


def test_mask_bytes_nothing_fits_gives_none() -> None:
    """It is counted then, not sent."""
    found, buffers = message(circle())
    assert mask_bytes(found, buffers, limit=10) is None


COMMANDS = {
    "set": ('{"type":"set","prompts":["a",{"id":"x","text":"b"}]}', SetPrompts),
    "add": ('{"type":"add","text":"a","prompt_id":"x"}', AddPrompt),
    "remove": ('{"type":"remove","prompt_id":"x"}', RemovePrompt),
    "list": ('{"type":"list","unknown":1}', ListPrompts),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_read_command_known_becomes_request(name: str) -> None:
    """Unknown fields are passed over, as everywhere."""
    text, kind = COMMANDS[name]
    request = as_request(read_command(text), "cam")
    assert isinstance(request, kind)
    assert request.stream == "cam"
    if isinstance(request, SetPrompts):
        assert request.prompts == (NewPrompt(text="a"), NewPrompt(text="b", id="x"))


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "null",
     '{"type":"stop"}', '{"type":"add"}', '{"type":"add","text":7}', '{"type":"set","prompts":3}',
     '{"type":"remove","prompt_id":null}', "\x00", '{"type":"add","text":"' + "x" * 20],
)  # fmt: skip
def test_read_command_anything_else_raises(text: str) -> None:
    """Never another error: it comes from the network."""
    with pytest.raises(MessageError):
        read_command(text)
    with pytest.raises(MessageError):
        read_command(b"\xff\xfe" + text.encode())


@pytest.mark.parametrize(
    "text",
    [
        r'{"type":"set","prompts":["the \u001b[2J cup"]}',
        r'{"type":"set","prompts":[{"text":"the \u202e cup","id":"cup"}]}',
        r'{"type":"add","text":"the \u009b cup"}',
    ],
)
def test_command_with_hidden_characters_is_refused_and_shows_them(text: str) -> None:
    """Whoever watches the graph at a terminal is not to see, or obey, them."""
    with pytest.raises(MessageError, match=r"has characters that a terminal obeys or nobody sees \(\\[xu]\w+\)"):
        as_request(read_command(text), "cam")
