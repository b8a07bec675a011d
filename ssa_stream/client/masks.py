"""Subscription to masks: always the newest ones of every prompt."""

from collections.abc import AsyncIterator, Collection, Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import zmq
from msgspec import UNSET, UnsetType

from ssa_stream.client.clock import DelayEstimate, now_ns
from ssa_stream.client.mask_view import MaskView
from ssa_stream.client.newest import Taken
from ssa_stream.client.subscription import DEFAULT_PUBLISH_ADDRESS, Subscription
from ssa_stream.errors import ConfigError, MessageError
from ssa_stream.keys import ClientKeys
from ssa_stream.protocols import (
    MASKS,
    NODES,
    STATE,
    FrameIdentity,
    Heartbeat,
    Limits,
    MaskMessage,
    Topic,
    decode,
    subscription,
)

__all__ = ["MaskCounts", "MaskSubscription", "masks", "masks_async"]

MAX_SLOTS = 4096
"""More than all prompts of all streams of a graph."""
_LIMITS = Limits()
_NS = 1e-9
_BROKER = Topic(NODES, STATE, "control")
"""Where the broker says which streams there are."""


@dataclass(slots=True)
class MaskCounts:
    """What became of the messages of a subscription.

    Attributes:
        received: Mask messages that came.
        given: Those that the consumer got.
        overtaken: Those that a newer one of their prompt replaced before the consumer asked.
        too_old: Those that were older than `max_age_s` when the consumer asked.
        malformed: Messages that could not be read.
    """

    received: int = 0
    given: int = 0
    overtaken: int = 0
    too_old: int = 0
    malformed: int = 0


@dataclass(frozen=True, slots=True)
class _Streams:
    """What the graph says there is, and our stream is not among it."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Arrived:
    message: MaskMessage
    buffers: tuple[memoryview, ...]
    arrived_ns: int
    delay_s: float


_PromptKey = tuple[str, str]
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class MaskSubscription(Subscription[_Arrived | _Streams, MaskView]):
    """Masks of a publisher: of every prompt the newest ones only, however slow the consumer is.

    Attributes:
        counts: What became of the messages so far.
    """

    def __init__(
        self,
        address: str = DEFAULT_PUBLISH_ADDRESS,
        stream: str | None = None,
        *,
        prompts: Collection[str] | None = None,
        max_age_s: float | None = None,
        timeout_s: float | None = None,
        keys: ClientKeys | str | Path | None = None,
        limits: Limits = _LIMITS,
    ) -> None:
        """Subscribe. See `masks` for the arguments.

        Raises:
            ConfigError: An argument is wrong.
        """
        if max_age_s is not None and not max_age_s > 0:
            raise ConfigError(f"max_age_s is {max_age_s!r}; expected more than 0, or None for any age")
        if isinstance(prompts, str):
            raise ConfigError(f"prompts is the string {prompts!r}; expected a list of prompt ids: [{prompts!r}]")
        self.counts = MaskCounts()
        self._stream = stream
        self._prompts = None if prompts is None else frozenset(prompts)
        self._max_age_s = max_age_s
        self._limits = limits
        self._delays: dict[str, DelayEstimate] = {}  # by clock
        self._last: dict[_PromptKey, FrameIdentity] = {}
        self._dropped: dict[_PromptKey, int] = {}
        super().__init__(
            address, _subscriptions(stream, self._prompts), capacity=MAX_SLOTS, timeout_s=timeout_s, keys=keys
        )

    def _read(self, parts: list[zmq.Frame], arrived_ns: int) -> tuple[Hashable, _Arrived | _Streams] | None:
        try:
            topic = Topic.parse(parts[0].bytes)
            if topic == _BROKER:
                return self._read_streams(parts)
            if topic.kind != MASKS or (self._prompts is not None and topic.name not in self._prompts):
                return None
            if self._stream is not None and topic.stream != self._stream:
                return None
            packet = decode(parts, self._limits)
        except MessageError:
            self.counts.malformed += 1
            return None
        message = packet.message
        if not isinstance(message, MaskMessage):
            return None  # a type that a later version brought
        self.counts.received += 1
        frame = message.frame
        clock = frame.receive_clock
        delay = self._delays.get(clock) or _put(self._delays, clock, DelayEstimate())
        delay_s = delay.add(frame.t_receive_ns, arrived_ns)
        key = (frame.stream, message.prompt.id, message.status)
        return key, _Arrived(message, packet.buffers, arrived_ns, delay_s)

    def _read_streams(self, parts: list[zmq.Frame]) -> tuple[Hashable, _Streams] | None:
        """The graph's streams, if ours is not one of them."""
        message = decode(parts, self._limits).message
        names = message.streams if isinstance(message, Heartbeat) else UNSET
        if self._stream is None or isinstance(names, UnsetType) or self._stream in names:
            return None
        return _BROKER, _Streams(names)

    def _open(self, taken: Taken[_Arrived | _Streams]) -> MaskView | None:
        came = taken.item
        if isinstance(came, _Streams):
            raise ConfigError(
                f"the graph at {self.address} has no stream {self._stream!r}; expected one of {', '.join(came.names)}"
            )
        frame = came.message.frame
        key = (frame.stream, came.message.prompt.id)
        self.counts.overtaken += taken.overtaken
        dropped = self._dropped.pop(key, 0) + taken.overtaken
        view = MaskView(
            came.message,
            came.buffers,
            arrived_ns=came.arrived_ns,
            gap=_gap(self._last.get(key), frame),
            dropped_here=dropped,
        )
        age_s = view.age_s
        if age_s is None:  # another machine's clock
            age_s = came.delay_s + (now_ns() - came.arrived_ns) * _NS
        if self._max_age_s is not None and age_s > self._max_age_s:
            self.counts.too_old += 1
            _put(self._dropped, key, dropped + 1)
            return None
        self.counts.given += 1
        _put(self._last, key, frame)
        return view

    def _what(self) -> str:
        wanted = "" if self._stream is None else f" of stream {self._stream!r}"
        if self.counts.too_old:
            return f"masks{wanted} that came were older than max_age_s ({self._max_age_s:g} s)"
        return f"no masks{wanted} came"


def masks(
    address: str = DEFAULT_PUBLISH_ADDRESS,
    stream: str | None = None,
    *,
    prompts: Collection[str] | None = None,
    max_age_s: float | None = None,
    timeout_s: float | None = None,
    keys: ClientKeys | str | Path | None = None,
) -> Iterator[MaskView]:
    """Yield masks as they come, of every stream and prompt the freshest ones only.

    While the loop's body works, newer masks replace older ones that wait; `view.dropped_here` tells how many. The
    connection is closed when the loop ends, also by `break` or an error.

    Args:
        address: Where the graph publishes. It need not run yet, and may be restarted.
        stream: Name of a stream; None for all.
        prompts: Ids of prompts; None for all.
        max_age_s: Pass over what is older when the loop asks for it. The age is that of the picture. If that was
            stamped by another machine's clock it cannot be known: then what counts is how much later the message came
            than the quickest ones of the last half minute, and how long it has waited here.
        timeout_s: How long to wait for masks; None for ever.
        keys: For a graph that takes in known clients only: the client's folder, see `ssa-stream keys`.
    Raises:
        ConfigError: An argument is wrong, or the graph says that it has no such stream.
        TransportError: Nothing came for `timeout_s`; says whether there is a publisher.
    """
    with MaskSubscription(
        address, stream, prompts=prompts, max_age_s=max_age_s, timeout_s=timeout_s, keys=keys
    ) as subscribed:
        yield from subscribed


async def masks_async(
    address: str = DEFAULT_PUBLISH_ADDRESS,
    stream: str | None = None,
    *,
    prompts: Collection[str] | None = None,
    max_age_s: float | None = None,
    timeout_s: float | None = None,
    keys: ClientKeys | str | Path | None = None,
) -> AsyncIterator[MaskView]:
    """As `masks`, for `async for`.

    After a `break` the connection is closed when asyncio finalises the generator; to close it at a certain moment,
    use `async with MaskSubscription(...)`.
    """
    async with MaskSubscription(
        address, stream, prompts=prompts, max_age_s=max_age_s, timeout_s=timeout_s, keys=keys
    ) as subscribed:
        async for view in subscribed:
            yield view


def _put(values: dict[_Key, _Value], key: _Key, value: _Value) -> _Value:
    """Put a value under a key. A flood of names pushes out the oldest ones instead of filling memory."""
    if key not in values and len(values) >= MAX_SLOTS:
        del values[next(iter(values))]
    values[key] = value
    return value


def _subscriptions(stream: str | None, prompts: frozenset[str] | None) -> list[bytes]:
    try:
        if stream is None:
            return [subscription()]
        if prompts is None:
            return [subscription(stream, MASKS), _BROKER.encode()]
        return [*(subscription(stream, MASKS, prompt) for prompt in sorted(prompts)), _BROKER.encode()]
    except MessageError as error:
        raise ConfigError(f"stream {stream!r} or a prompt id of {sorted(prompts or ())} is no name: {error}") from error


def _gap(last: FrameIdentity | None, frame: FrameIdentity) -> int:
    """Frames between two of one prompt. Across epochs, those that were not even sent are not known."""
    if last is None:
        return 0
    if last.epoch == frame.epoch:
        return max(0, frame.seq - last.seq - 1)
    return max(0, frame.index - last.index - 1)
