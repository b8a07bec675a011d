"""Messages of data channels: JSON about prompts, and masks as a header followed by label maps."""

import struct
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import lz4.block
import msgspec
import numpy as np
from msgspec import UNSET, Meta, Struct, UnsetType

from ssa_stream.errors import MessageError
from ssa_stream.protocols import (
    AddPrompt,
    AppliesFrom,
    ListPrompts,
    MaskMessage,
    NewPrompt,
    Prompt,
    RemovePrompt,
    SetPrompts,
    unpack_labels,
)
from ssa_stream.viz.colours import Rgb, prompt_colours

__all__ = [
    "AddCommand",
    "ColouredPrompt",
    "Command",
    "ListCommand",
    "PromptAnswer",
    "RemoveCommand",
    "SetCommand",
    "coloured",
    "mask_bytes",
    "read_command",
]

_LENGTH = struct.Struct("<I")
_ENCODER = msgspec.json.Encoder()


class _Layer(NamedTuple):
    raw_bytes: int
    dtype: str
    data: bytes


_CommandId = Annotated[str, Meta(max_length=256)] | Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None
"""It comes back in the answer, so it must be such that it can be written again."""


class SetCommand(Struct, frozen=True, tag_field="type", tag="set"):
    """Replace all prompts."""

    prompts: tuple[NewPrompt | str, ...]
    id: _CommandId = None


class AddCommand(Struct, frozen=True, tag_field="type", tag="add"):
    """Add a prompt, or give `prompt_id` another sentence."""

    text: str
    prompt_id: str | None = None
    id: _CommandId = None


class RemoveCommand(Struct, frozen=True, tag_field="type", tag="remove"):
    """Remove a prompt."""

    prompt_id: str
    id: _CommandId = None


class ListCommand(Struct, frozen=True, tag_field="type", tag="list"):
    """Ask for the prompts."""

    id: _CommandId = None


Command = SetCommand | AddCommand | RemoveCommand | ListCommand
_COMMANDS = msgspec.json.Decoder(Command)


def read_command(data: str | bytes) -> Command:
    """Read what a peer wants.

    Raises:
        MessageError: It is no command.
    """
    try:
        command: Command = _COMMANDS.decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise MessageError(
            f'this is no command: {error}; expected such as {{"type":"add","text":"the red cup"}}'
        ) from error
    return command


def as_request(command: Command, stream: str) -> SetPrompts | AddPrompt | RemovePrompt | ListPrompts:
    """The request to the graph.

    Raises:
        MessageError: A sentence is not plain text.
    """
    try:
        return _as_request(command, stream)
    except ValueError as error:
        raise MessageError(str(error)) from error


def _as_request(command: Command, stream: str) -> SetPrompts | AddPrompt | RemovePrompt | ListPrompts:
    match command:
        case SetCommand(prompts=prompts):
            named = tuple(NewPrompt(text=one) if isinstance(one, str) else one for one in prompts)
            return SetPrompts(request_id="", stream=stream, prompts=named)
        case AddCommand(text=text, prompt_id=prompt_id):
            return AddPrompt(request_id="", stream=stream, prompt=NewPrompt(text=text, id=prompt_id))
        case RemoveCommand(prompt_id=prompt_id):
            return RemovePrompt(request_id="", stream=stream, prompt_id=prompt_id)
        case ListCommand():
            return ListPrompts(request_id="", stream=stream)


class ColouredPrompt(Struct, frozen=True, kw_only=True):
    """A prompt and the colour that its masks are drawn in everywhere.

    Attributes:
        id: Name within the stream.
        text: The sentence.
        version: Version of the stream's prompts that brought it.
        colour: Red, green and blue, 0 to 255.
    """

    id: str
    text: str
    version: int
    colour: Rgb


def coloured(prompts: Sequence[Prompt]) -> tuple[ColouredPrompt, ...]:
    """Prompts with their colours.

    Args:
        prompts: All of a stream, in order of adding.
    """
    colours = prompt_colours(one.id for one in prompts)
    return tuple(
        ColouredPrompt(id=one.id, text=one.text, version=one.version, colour=colours[one.id]) for one in prompts
    )


class PromptAnswer(Struct, frozen=True, kw_only=True, tag_field="type", tag="prompts"):
    """All prompts of the stream now, as an answer or because somebody changed them.

    Attributes:
        id: Of the command; null if there was none.
        prompts: In order of adding.
        version: Grows with every change.
        applies_from: First frame that they apply to.
        hint: What is to be known of a change: words that the checkpoint does not know, prompts that are too long, that
            it could not be saved. Absent if nothing is, and where it answers no command.
    """

    id: str | int | None = None
    prompts: tuple[ColouredPrompt, ...]
    version: int
    applies_from: AppliesFrom
    hint: str | UnsetType = UNSET


def as_json(value: Any) -> str:
    """A message as text."""
    return _ENCODER.encode(value).decode()


def error_text(code: str, text: str, command_id: str | int | None = None) -> str:
    """A refusal, as a message."""
    return as_json({"type": "error", "id": command_id, "code": code, "text": text})


def mask_bytes(
    message: MaskMessage, buffers: Sequence[memoryview], *, limit: int, extra: dict[str, Any] | None = None
) -> bytes | None:
    """Masks of one prompt in one frame: length of the header, little-endian; the header, JSON; its layers, LZ4 blocks.

    Args:
        message: As the graph published it.
        buffers: Its buffers.
        limit: Longest message. Label maps that need more are halved in size until they fit.
        extra: Further fields of the header.
    Returns:
        None if even a small picture does not fit.
    Raises:
        MessageError: A label map is damaged.
    """
    step = 1
    layers = [_Layer(one.raw_bytes, one.dtype, bytes(buffers[one.buffer])) for one in message.layers]
    while True:
        height, width = -(-message.size[0] // step), -(-message.size[1] // step)
        packed = _pack(message, (height, width), layers, extra or {})
        if len(packed) <= limit:
            return packed
        step *= 2
        if not layers or step > 16:
            return None
        maps = unpack_labels(message, buffers).layers
        layers = [_smaller(one[::step, ::step], layer.dtype) for one, layer in zip(maps, message.layers, strict=True)]


def _smaller(labels: np.ndarray[Any, Any], dtype: str) -> _Layer:
    raw = np.ascontiguousarray(labels).tobytes()
    return _Layer(len(raw), dtype, lz4.block.compress(raw, store_size=False))


def _pack(message: MaskMessage, size: tuple[int, int], layers: Sequence[_Layer], extra: dict[str, Any]) -> bytes:
    frame = message.frame
    header = {
        "prompt": message.prompt.id,
        "version": message.prompt.version,
        "epoch": frame.epoch,
        "seq": frame.seq,
        "index": frame.index,
        "t": frame.t,
        "status": message.status,
        "size": size,
        "source_size": message.source_size,
        "probability": message.probability,
        "tracks": [
            {"id": track.id, "score": round(track.score, 4), "box": track.box_xyxy, "layer": track.layer,
             "label": track.label, "area": track.area_px}
            for track in message.tracks
        ],
        "layers": [{"bytes": len(data), "raw": raw, "dtype": dtype} for raw, dtype, data in layers],
        **extra,
    }  # fmt: skip
    body = _ENCODER.encode(header)
    return b"".join([_LENGTH.pack(len(body)), body, *(data for _, _, data in layers)])
