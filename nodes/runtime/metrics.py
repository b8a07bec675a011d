"""What a node counts and measures, for its heartbeats and statistics."""

import itertools
import math
import threading
from collections import Counter as Counters
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from msgspec import UNSET

from ssa_stream.nodes.runtime.clock import Clock, MonotonicClock
from ssa_stream.protocols import BusyTime, Counter, DropCount, Heartbeat, Latency, QueueDepth, Statistics
from ssa_stream.protocols.fields import MAX_LISTED

__all__ = ["LOG_LINES_LOST", "NodeMetrics"]

LOG_LINES_LOST = "log_lines_lost"
"""Counter of lines of log and view that a process could not write; see `ssa_stream.standard_streams`."""

_MAX_SAMPLES = 1024
"""Newest samples of one duration that percentiles are of."""
_Key = tuple[str, str | None]


class NodeMetrics:
    """Counters, drops, durations and queues of one node. May be used from any thread.

    Args:
        node: Name of the node.
        role: What it does.
        incarnation: Another number for every start of it.
        clock: Of all times.
        awake: Of the age of a step: the time in which this process did not run is not the step's; None takes `clock`.
        lines_lost: How many lines of log its process could not write; None for a node of a process of several.
    """

    weights: str | None = None
    """Fingerprint of the weights that the node has loaded."""

    def __init__(
        self,
        node: str,
        role: str,
        incarnation: int = 0,
        clock: Clock | None = None,
        awake: Clock | None = None,
        *,
        lines_lost: Callable[[], int] | None = None,
    ) -> None:
        self._node, self._role, self._incarnation = node, role, incarnation
        self._clock = clock or MonotonicClock()
        self._awake = awake or self._clock
        self._lines_lost = lines_lost
        self._lock = threading.Lock()
        self._counts: Counters[_Key] = Counters()
        self._drops: Counters[tuple[str, str]] = Counters()
        self._latencies: dict[_Key, _Samples] = {}
        self._queues: dict[str, QueueDepth] = {}
        self._steps = self._pending = self._beat = 0
        self._busy_since_ns = 0
        self._worked_ns: Counters[str] = Counters()
        self._works: dict[int, tuple[str, int]] = {}  # part, since when
        self._numbers = itertools.count()
        self._interval_from_ns = self._clock.monotonic_ns()

    def count(self, name: str, n: int = 1, stream: str | None = None) -> None:
        """Count something; `name` is a keyword, such as `decode_error`."""
        with self._lock:
            self._counts[name, stream] += n

    def dropped(self, stream: str, reason: str, n: int = 1) -> None:
        """Count frames that this node dropped, by `DropReason`."""
        with self._lock:
            self._drops[stream, str(reason)] += n

    def latency(self, name: str, ms: float, stream: str | None = None) -> None:
        """Note how long something took, in milliseconds. Below 0, which clocks of two kinds may give, counts as 0."""
        with self._lock:
            self._latencies.setdefault((name, stream), _Samples()).add(max(ms, 0.0))

    def queue(self, name: str, depth: int, capacity: int, dropped: int = 0) -> None:
        """Note how full a queue is now."""
        with self._lock:
            self._queues[name] = QueueDepth(name=name, depth=depth, capacity=capacity, dropped=dropped)

    def work_began(self) -> None:
        """There is work that is not done: the age of the step grows from here unless it does already."""
        with self._lock:
            if not self._pending:
                self._busy_since_ns = self._awake.monotonic_ns()
            self._pending += 1

    def work_ended(self) -> None:
        """A step is done."""
        with self._lock:
            self._busy_since_ns = self._awake.monotonic_ns()
            self._pending = max(0, self._pending - 1)
            self._steps += 1

    @contextmanager
    def working(self) -> Iterator[None]:
        """The body is a step."""
        self.work_began()
        try:
            yield
        finally:
            self.work_ended()

    @contextmanager
    def busy(self, part: str | None = None) -> Iterator[None]:
        """The body is work, whose time counts for how busy the node is; in contrast to a step it waits for nobody.

        Args:
            part: What kind of work; None is the node's role.
        """
        number, name = next(self._numbers), part or self._role
        with self._lock:
            self._works[number] = name, self._clock.monotonic_ns()
        try:
            yield
        finally:
            with self._lock:
                _, since_ns = self._works.pop(number)
                self._worked_ns[name] += self._clock.monotonic_ns() - since_ns

    def step_age_s(self) -> float | None:
        """Time since the last step ended, or since work came if that is later; None without work."""
        with self._lock:
            return (self._awake.monotonic_ns() - self._busy_since_ns) / 1e9 if self._pending else None

    def heartbeat(self, *, ready: bool, text: str = "") -> Heartbeat:
        """The node's next heartbeat."""
        step_age_s = self.step_age_s()
        with self._lock:
            self._beat += 1
            return Heartbeat(
                node=self._node,
                role=self._role,
                incarnation=self._incarnation,
                beat=self._beat - 1,
                at_ns=self._clock.monotonic_ns(),
                clock=self._clock.name,
                ready=ready,
                step_age_s=step_age_s,
                steps=self._steps,
                queues=tuple(self._queues.values())[:MAX_LISTED],
                text=text,
                weights=UNSET if self.weights is None else self.weights,
            )

    def statistics(self) -> Statistics:
        """Figures up to now. Latencies are of the time since the last call; all else since the node started."""
        with self._lock:
            now_ns = self._clock.monotonic_ns()
            interval_s = (now_ns - self._interval_from_ns) / 1e9
            latencies, self._latencies, self._interval_from_ns = self._latencies, {}, now_ns
            if self._lines_lost is not None and (lost := self._lines_lost()):
                self._counts[LOG_LINES_LOST, None] = lost
            worked_ns = self._worked_ns.copy()
            for part, since_ns in self._works.values():
                worked_ns[part] += now_ns - since_ns
            # Most frequent first, should there be more than a message holds.
            counts, drops = self._counts.most_common(MAX_LISTED), self._drops.most_common(MAX_LISTED)
        return Statistics(
            node=self._node,
            role=self._role,
            incarnation=self._incarnation,
            at_ns=now_ns,
            clock=self._clock.name,
            interval_s=interval_s,
            counters=tuple(Counter(name=name, stream=stream, value=value) for (name, stream), value in counts),
            drops=tuple(DropCount(stream=stream, reason=reason, count=count) for (stream, reason), count in drops),
            latencies=tuple(_distribution(key, samples) for key, samples in latencies.items())[:MAX_LISTED],
            busy=tuple(BusyTime(name=part, seconds=ns / 1e9) for part, ns in worked_ns.items()) or UNSET,
        )


class _Samples:
    """How often something was measured, and the newest figures."""

    def __init__(self) -> None:
        self.count = 0
        self._newest: deque[float] = deque(maxlen=_MAX_SAMPLES)

    def add(self, ms: float) -> None:
        self.count += 1
        self._newest.append(ms)

    def percentiles(self, *shares: float) -> list[float]:
        ordered = sorted(self._newest)
        return [ordered[max(0, math.ceil(share * len(ordered)) - 1)] for share in shares]


def _distribution(key: _Key, samples: _Samples) -> Latency:
    p50_ms, p95_ms, p99_ms, max_ms = samples.percentiles(0.5, 0.95, 0.99, 1.0)
    return Latency(
        name=key[0], stream=key[1], count=samples.count, p50_ms=p50_ms, p95_ms=p95_ms, p99_ms=p99_ms, max_ms=max_ms
    )
