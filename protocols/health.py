"""Health of nodes: heartbeats, and statistics with counters, drops and latencies."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from ssa_stream.protocols.fields import MAX_LISTED, ClockName, Keyword, Name, Nanoseconds, Note, Seconds, Whole
from ssa_stream.protocols.message import Message

__all__ = ["BusyTime", "Counter", "DropCount", "Heartbeat", "Latency", "QueueDepth", "Statistics"]

_Milliseconds = Annotated[float, Meta(ge=0, le=1e12)]


class QueueDepth(Struct, frozen=True, kw_only=True):
    """How full a queue is.

    Attributes:
        name: Which queue of the node.
        depth: Entries now.
        capacity: Most entries that it takes.
        dropped: Entries that it has dropped since the node started.
    """

    name: Keyword
    depth: Whole
    capacity: Whole
    dropped: Whole = 0


class Heartbeat(Message, frozen=True, kw_only=True, tag="heartbeat"):
    """Sign of life, sent at a fixed rate in both directions between a node and its watcher.

    Attributes:
        node: Its name.
        role: What it does: `ingest`, `encoder`, `queries`, `decoder`, `masks`, `control`, `gateway`. Open.
        incarnation: Another number for every start of the node, growing.
        beat: Number of the heartbeat in this incarnation, from 0.
        at_ns: When it was sent.
        clock: Clock of `at_ns`.
        ready: Whether it takes work.
        step_age_s: Time since its last step ended, or since it got work if that is later and not done; None if it
            has no work.
        steps: Steps done in this incarnation.
        queues: Its queues.
        text: For people.
        weights: Fingerprint of the weights that it has loaded: SHA-256 of the checkpoint's file, or `random-` and more
            for random ones. Absent if it has loaded none.
        streams: Names of all streams of the graph; said by the broker (`control`), absent from other nodes.
    """

    node: Name
    role: Keyword
    incarnation: Whole
    beat: Whole
    at_ns: Nanoseconds
    clock: ClockName
    ready: bool
    step_age_s: Annotated[float, Meta(ge=0, le=1e12)] | None = None
    steps: Whole = 0
    queues: Annotated[tuple[QueueDepth, ...], Meta(max_length=MAX_LISTED)] = ()
    text: Note = ""
    weights: Name | UnsetType = UNSET
    streams: Annotated[tuple[Name, ...], Meta(max_length=MAX_LISTED)] | UnsetType = UNSET


class Counter(Struct, frozen=True, kw_only=True):
    """A number that only grows while the node lives.

    Attributes:
        name: What is counted.
        value: How many.
        stream: Of which stream; None for all.
    """

    name: Keyword
    value: Whole
    stream: Name | None = None


class DropCount(Struct, frozen=True, kw_only=True):
    """Frames dropped for one reason since the node started.

    Attributes:
        stream: Of which stream.
        reason: A `DropReason`.
        count: How many.
    """

    stream: Name
    reason: Keyword
    count: Whole


class Latency(Struct, frozen=True, kw_only=True):
    """Distribution of a duration over the interval.

    Attributes:
        name: Which duration.
        count: How many were measured.
        p50_ms: Median.
        p95_ms: 95th percentile.
        p99_ms: 99th percentile.
        max_ms: Longest.
        stream: Of which stream; None for all.
    """

    name: Keyword
    count: Whole
    p50_ms: _Milliseconds
    p95_ms: _Milliseconds
    p99_ms: _Milliseconds
    max_ms: _Milliseconds
    stream: Name | None = None


class BusyTime(Struct, frozen=True, kw_only=True):
    """How long a part of a node has worked.

    Attributes:
        name: The node's role, or `outputs`.
        seconds: Time since the node started in which it did work of this kind. How much it grows in a second is the
            share of time that the part is busy. Waiting for other nodes is not in it.
    """

    name: Keyword
    seconds: Annotated[float, Meta(ge=0, le=1e12)]


class Statistics(Message, frozen=True, kw_only=True, tag="statistics"):
    """Figures of a node.

    Attributes:
        node: Its name.
        role: What it does.
        incarnation: Of the node; counters begin anew with it.
        at_ns: When.
        clock: Clock of `at_ns`.
        interval_s: Time that the latencies are of.
        counters: What it counts.
        drops: Frames that it dropped.
        latencies: What it measures.
        busy: How long it has worked. Absent if it does not tell.
    """

    node: Name
    role: Keyword
    incarnation: Whole
    at_ns: Nanoseconds
    clock: ClockName
    interval_s: Seconds
    counters: Annotated[tuple[Counter, ...], Meta(max_length=MAX_LISTED)] = ()
    drops: Annotated[tuple[DropCount, ...], Meta(max_length=MAX_LISTED)] = ()
    latencies: Annotated[tuple[Latency, ...], Meta(max_length=MAX_LISTED)] = ()
    busy: Annotated[tuple[BusyTime, ...], Meta(max_length=MAX_LISTED)] | UnsetType = UNSET
