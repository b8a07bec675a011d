"""States, prompts and events of streams and nodes, as they are published."""

import itertools
from collections.abc import Collection, Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path

import zmq

from ssa_stream.client.newest import Taken
from ssa_stream.client.subscription import DEFAULT_PUBLISH_ADDRESS, Subscription
from ssa_stream.errors import ConfigError, MessageError
from ssa_stream.keys import ClientKeys
from ssa_stream.protocols import (
    EVENTS,
    NODES,
    PROMPTS,
    STATE,
    AnyMessage,
    Limits,
    Topic,
    Unknown,
    decode,
    is_wanted,
    subscription,
)

__all__ = ["Update", "UpdateSubscription", "updates"]

MAX_WAITING = 10_000
_KINDS = (STATE, PROMPTS, EVENTS)
_LIMITS = Limits(max_frames=4, max_message_bytes=2**20)


@dataclass(frozen=True, slots=True)
class Update:
    """One message that is no mask.

    Attributes:
        topic: Where it was published; of nodes the stream is `NODES`.
        message: A `SourceState`, `StreamLoad`, `PromptState`, `Event`, `Heartbeat` or `Statistics`.
    """

    topic: Topic
    message: AnyMessage


class UpdateSubscription(Subscription[Update, Update]):
    """States, prompts and events. The newest states come at once; one that is told again unchanged is passed over.

    In contrast to masks every message is given, in order; if more than `MAX_WAITING` wait, the oldest are lost.
    """

    def __init__(
        self,
        address: str = DEFAULT_PUBLISH_ADDRESS,
        stream: str | None = None,
        *,
        kinds: Collection[str] = _KINDS,
        nodes: bool = False,
        timeout_s: float | None = None,
        keys: ClientKeys | str | Path | None = None,
    ) -> None:
        """Subscribe. See `updates` for the arguments.

        Args:
            address: See there.
            stream: See there.
            kinds: See there.
            nodes: Whether the states of the nodes come beside those of `stream`; without one they do.
            timeout_s: See there.
            keys: See there.
        Raises:
            ConfigError: An argument is wrong.
        """
        if isinstance(kinds, str) or not set(kinds) <= set(_KINDS):
            raise ConfigError(f"kinds is {kinds!r}; expected some of {', '.join(_KINDS)}")
        self._kinds = frozenset(kinds)
        self._numbers = itertools.count()
        self._last: dict[tuple[Topic, str], bytes] = {}
        try:
            wanted = [subscription()] if stream is None else [subscription(stream, kind) for kind in sorted(kinds)]
        except MessageError as error:
            raise ConfigError(f"stream {stream!r} is no name: {error}") from error
        if nodes and stream is not None:
            wanted.append(subscription(NODES, STATE))
        self._wanted = wanted
        super().__init__(address, wanted, capacity=MAX_WAITING, timeout_s=timeout_s, keys=keys)

    def _read(self, parts: list[zmq.Frame], arrived_ns: int) -> tuple[Hashable, Update] | None:
        try:
            name = parts[0].bytes
            topic = Topic.parse(name)
            if topic.kind not in self._kinds or not any(is_wanted(name, wanted) for wanted in self._wanted):
                return None
            message = decode(parts, _LIMITS).message
        except MessageError:
            return None
        if isinstance(message, Unknown):
            return None
        header = parts[1].bytes
        if topic.kind != EVENTS:
            key = (topic, str(message.__struct_config__.tag))
            if self._last.get(key) == header:
                return None
            if len(self._last) >= MAX_WAITING:  # a flood of names
                self._last.clear()
            self._last[key] = header
        return next(self._numbers), Update(topic, message)

    def _open(self, taken: Taken[Update]) -> Update:
        return taken.item

    def _what(self) -> str:
        return f"no {', '.join(sorted(self._kinds))} came"


def updates(
    address: str = DEFAULT_PUBLISH_ADDRESS,
    stream: str | None = None,
    *,
    kinds: Collection[str] = _KINDS,
    timeout_s: float | None = None,
    keys: ClientKeys | str | Path | None = None,
) -> Iterator[Update]:
    """Yield states, prompts and events: first the newest states that there are, then whatever is published.

    Args:
        address: Where the graph publishes.
        stream: Name of a stream, or `ssa_stream.protocols.NODES` for nodes; None for all.
        kinds: Some of `state`, `prompts` and `events`.
        timeout_s: How long to wait; None for ever.
        keys: For a graph that takes in known clients only: the client's folder, see `ssa-stream keys`.
    Raises:
        ConfigError: An argument is wrong.
        TransportError: Nothing came for `timeout_s`.
    """
    with UpdateSubscription(address, stream, kinds=kinds, timeout_s=timeout_s, keys=keys) as subscribed:
        yield from subscribed
