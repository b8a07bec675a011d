"""Topics of published messages: `v1/<stream>/<kind>[/<name>]`."""

import re
from dataclasses import dataclass
from typing import Self

from ssa_stream.errors import MessageError
from ssa_stream.protocols.version import VERSION

__all__ = [
    "EVENTS",
    "KINDS",
    "MASKS",
    "MAX_TOPIC_BYTES",
    "NODES",
    "PROMPTS",
    "STATE",
    "Topic",
    "is_subscription",
    "is_wanted",
    "subscription",
]

MASKS, EVENTS, STATE, PROMPTS = "masks", "events", "state", "prompts"
KINDS = (MASKS, EVENTS, STATE, PROMPTS)
"""None is the beginning of another, so that subscribing to one never brings the other."""
NODES = "_nodes"
"""In place of a stream: what is about nodes. No stream can have this name."""
MAX_TOPIC_BYTES = 192

_MAJOR = f"v{VERSION[0]}"
_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
_TOPIC = re.compile(
    rf"v(?P<major>[0-9]{{1,6}})/(?P<stream>{NODES}|{_NAME})/(?P<kind>[a-z]{{1,16}})(?:/(?P<name>{_NAME}))?"
)

# What may be lacking of a topic at the end of a prefix; so the form itself stands once, above.
_ENDINGS = ("", "a", "a/a", "/a/a", *(f"{NODES[1:]}/a"[begin:] for begin in range(len(NODES))))


@dataclass(frozen=True, slots=True)
class Topic:
    """Where a message is published.

    Attributes:
        stream: Name of the stream, or `NODES`.
        kind: One of `KINDS`. Later versions may bring others.
        name: What the message is about within the kind: of masks the prompt's id, of `NODES` the node.
    """

    stream: str
    kind: str
    name: str | None = None

    def __post_init__(self) -> None:
        match = _TOPIC.fullmatch(str(self))
        if match is None or match.group("stream", "kind", "name") != (self.stream, self.kind, self.name):
            raise MessageError(
                f"topic {str(self)[:MAX_TOPIC_BYTES]!r} is not one; expected {_MAJOR}/<stream>/<kind>[/<name>] with "
                f"names of at most 64 letters, digits and _ . - that begin with a letter or digit"
            )

    @classmethod
    def parse(cls, text: bytes | str) -> Self:
        """Read a topic.

        Raises:
            MessageError: Not a topic, or of another major version.
        """
        shown = text[:MAX_TOPIC_BYTES]
        try:
            match = _TOPIC.fullmatch(text.decode("ascii") if isinstance(text, bytes) else text)
        except UnicodeDecodeError:
            match = None
        if match is None:
            raise MessageError(f"topic {shown!r} is not one; expected {_MAJOR}/<stream>/<kind>[/<name>]")
        if match["major"] != _MAJOR[1:]:
            raise MessageError(
                f"topic {shown!r} is of protocol version {match['major']}; this side reads version "
                f"{_MAJOR[1:]}: update the older of the two"
            )
        return cls(match["stream"], match["kind"], match["name"])

    def __str__(self) -> str:
        return "/".join([_MAJOR, self.stream, self.kind, *([] if self.name is None else [self.name])])

    def encode(self) -> bytes:
        """First part of a published message."""
        return str(self).encode("ascii")


def subscription(stream: str | None = None, kind: str | None = None, name: str | None = None) -> bytes:
    """What to subscribe to, for all topics that begin with the given parts.

    A ZeroMQ subscription is a prefix of bytes. It ends in `/` where more parts follow, so that `cam1` never brings
    `cam10`. After a full topic no `/` can follow: a subscription to prompt `p1` also brings `p10`, and one to a kind
    also a kind that begins like it. Check what comes with `is_wanted`.

    Args:
        stream: Name of the stream, or `NODES`; None for all.
        kind: Only with a stream.
        name: Only with a kind.
    Raises:
        MessageError: A name that no topic can have, or a part without the one before it.
    """
    if (kind is not None and stream is None) or (name is not None and kind is None):
        raise MessageError(f"subscription to {stream}/{kind}/{name}; expected a stream before a kind before a name")
    Topic(NODES if stream is None else stream, STATE if kind is None else kind, name)
    if stream is None:
        return f"{_MAJOR}/".encode("ascii")
    if kind is None:
        return f"{_MAJOR}/{stream}/".encode("ascii")
    return Topic(stream, kind, name).encode()


def is_wanted(topic: bytes, subscribed: bytes) -> bool:
    """Whether a topic falls under a subscription part by part, not merely letter by letter."""
    return topic == subscribed or topic.startswith(subscribed if subscribed.endswith(b"/") else subscribed + b"/")


def is_subscription(prefix: bytes) -> bool:
    """Whether topics can begin like that, of whatever version; an empty subscription is to everything."""
    if len(prefix) > MAX_TOPIC_BYTES:
        return False
    if not prefix or prefix == b"v":
        return True
    try:
        text = prefix.decode("ascii")
    except UnicodeDecodeError:
        return False
    return any(_TOPIC.fullmatch(text + ending) is not None for ending in _ENDINGS)
