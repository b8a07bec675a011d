"""How much one message may ask of its reader."""

from dataclasses import dataclass, fields

from ssa_stream.errors import ConfigError

__all__ = ["Limits"]

_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Limits:
    """What a reader takes; anything larger is refused before memory is spent on it.

    Lengths of texts, lists and numbers are limits of the protocol itself, see `fields`. These here are for whoever
    runs a reader to set. The defaults hold mask features of a 4K frame and label maps of an 8K frame.

    Attributes:
        max_frames: Parts of one multipart message, topic and header included.
        max_header_bytes: Length of the header.
        max_depth: Nesting of lists and maps in the header, those of unknown fields included.
        max_buffer_bytes: Length of one buffer.
        max_message_bytes: Length of all parts together.
        max_unpacked_bytes: All label maps of a message after decompression, and what reading its run lengths takes:
            one byte per pixel and 64 per character.
    """

    max_frames: int = 256
    max_header_bytes: int = 128 * 1024
    max_depth: int = 128
    max_buffer_bytes: int = 512 * _MIB
    max_message_bytes: int = 1024 * _MIB
    max_unpacked_bytes: int = 256 * _MIB

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if type(value) is not int or value < 1:
                raise ConfigError(f"Limits.{field.name} is {value!r}; expected a whole number of at least 1")
