"""The newest state of everything, for subscribers who come late."""

from collections.abc import Iterator, Sequence

__all__ = ["LastValues"]

_Key = tuple[bytes, str]
Parts = Sequence[bytes]


class LastValues:
    """Keeps the last message of every type on every topic.

    Who keeps values decides what topics there are; nothing here bounds them.
    """

    def __init__(self) -> None:
        self._values: dict[_Key, Parts] = {}

    def keep(self, topic: bytes, message_type: str, parts: Parts) -> None:
        """Replace the value of a topic and type."""
        self._values[topic, message_type] = parts

    def keys(self, prefix: bytes) -> Iterator[_Key]:
        """Which values a subscription asks for, in the order in which their topics were first seen."""
        return (key for key in self._values if key[0].startswith(prefix))

    def get(self, key: _Key) -> Parts | None:
        """The parts of a value; None if there is none."""
        return self._values.get(key)
