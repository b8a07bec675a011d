"""The course of a soak: faults as planned, measurements at a fixed rate, a quiet end."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.soaking.faults import Fault
from benchmarks.soaking.figures import Balance
from benchmarks.soaking.graph import Figures, Graph, Holdings
from benchmarks.soaking.masks import Ages, MaskLog

if TYPE_CHECKING:
    from benchmarks.soaking.targets import Target

__all__ = ["Recovery", "Sample", "Soak", "balance", "settled"]

_TICK_S = 0.05
_GRACE_S = 30.0
"""What has not come back when the next fault is due, or at the end, gets so much longer."""
_SETTLE_S, _AGAIN_S = 30.0, 2.5


@dataclass(frozen=True)
class Sample:
    """What was measured at one moment.

    Attributes:
        at_s: Since the beginning.
        holdings: Of the graph's processes.
        ages: Of masks since the last sample, by stream.
    """

    at_s: float
    holdings: Holdings
    ages: dict[str, Ages]


@dataclass(frozen=True)
class Recovery:
    """How a fault ended.

    Attributes:
        fault: See there.
        took_s: From when all could work to when it did; None if it never did.
        away_s: From the beginning of the fault to then.
    """

    fault: Fault
    took_s: float | None
    away_s: float | None


@dataclass
class Soak:
    """A soak while it runs.

    Attributes:
        graph: What is looked at.
        masks: Its subscriber.
        targets: What faults happen to, by name.
        streams: Whose masks are looked at.
        on_sample: Told of every sample.
        samples: So far.
        recoveries: So far.
    """

    graph: Graph
    masks: MaskLog
    targets: "Mapping[str, Target]"
    streams: Sequence[str]
    on_sample: Callable[["Soak", Sample], None]
    samples: list[Sample] = field(default_factory=list)
    recoveries: list[Recovery] = field(default_factory=list)
    _suffering: dict[str, tuple[Fault, int]] = field(default_factory=dict)
    _back: dict[str, tuple[Fault, int]] = field(default_factory=dict)

    def run(self, seconds: float, faults: Sequence[Fault], every_s: float) -> None:
        """Let the faults happen and measure, until the time is up."""
        begin_s, left, due_s = time.monotonic(), list(faults), every_s
        while (now_s := time.monotonic() - begin_s) < seconds:
            for fault in [one for one in left if one.at_s <= now_s]:
                if self._may_begin(fault, now_s):
                    left.remove(fault)
                    self._begin(fault)
            self._end_what_is_over()
            self._note_recoveries()
            if now_s >= due_s:
                self._measure(now_s)
                due_s += every_s
            time.sleep(_TICK_S)
        self._wait_for_the_last(time.monotonic() + _GRACE_S)

    def _end_what_is_over(self) -> None:
        for fault, began_ns in list(self._suffering.values()):
            if time.monotonic_ns() - began_ns >= fault.lasts_s * 1e9:
                self._end(fault, began_ns)

    def _may_begin(self, fault: Fault, now_s: float) -> bool:
        """Whether what happened to the target before is over; it is not waited for without end."""
        if fault.target in self._suffering:
            return False
        return fault.target not in self._back or now_s > fault.at_s + _GRACE_S

    def _wait_for_the_last(self, deadline_s: float) -> None:
        while (self._back or self._suffering) and time.monotonic() < deadline_s:
            self._end_what_is_over()
            self._note_recoveries()
            time.sleep(_TICK_S)
        for target in list(self._back):
            self._give_up(target)

    def _begin(self, fault: Fault) -> None:
        self._give_up(fault.target)
        self._suffering[fault.target] = fault, time.monotonic_ns()
        self.targets[fault.target].suffer(fault.kind)

    def _end(self, fault: Fault, began_ns: int) -> None:
        del self._suffering[fault.target]
        self.targets[fault.target].come_back(fault.kind)
        self._back[fault.target] = fault, began_ns

    def _note_recoveries(self) -> None:
        for target, (fault, began_ns) in list(self._back.items()):
            times = self.targets[target].recovered_ns()
            if times is not None:
                del self._back[target]
                back_ns, came_ns = times
                self.recoveries.append(Recovery(fault, (came_ns - back_ns) / 1e9, (came_ns - began_ns) / 1e9))
        if not self._back and not self._suffering:
            self.masks.forget_before(time.monotonic_ns())

    def _give_up(self, target: str) -> None:
        waiting = self._back.pop(target, None)
        if waiting is not None:
            self.recoveries.append(Recovery(waiting[0], None, None))

    def _measure(self, at_s: float) -> None:
        ages = {stream: self.masks.take_ages(stream) for stream in self.streams}
        sample = Sample(at_s, self.graph.holdings(), ages)
        self.samples.append(sample)
        self.on_sample(self, sample)


def settled(graph: Graph, streams: Sequence[str]) -> Figures:
    """Metrics once nothing is on its way any more, or it should long have come."""
    deadline_s, last = time.monotonic() + _SETTLE_S, None
    while True:
        figures = graph.figures()
        now = [(figures.total("count_frames_received_total", stream=one), in_flight(figures, one)) for one in streams]
        if (now == last and not any(waiting for _, waiting in now)) or time.monotonic() > deadline_s:
            return figures
        last = now
        time.sleep(_AGAIN_S)


def in_flight(figures: Figures, stream: str) -> int:
    """Frames of a stream that are on their way."""
    return figures.total("queue_in_flight_length", node=f"ingest-{stream}")


def balance(figures: Figures, masks: MaskLog, stream: str, *, is_camera: bool) -> Balance:
    """The books of a stream with one prompt.

    Pictures of a peer's camera are counted where they were decoded: at the gateway.
    """
    dropped = figures.drops(stream)
    if is_camera:
        at_gateway = sum(count for (node, _), count in dropped.items() if node.startswith("gateway"))
        received = figures.total("count_frames_total", stream=stream) + at_gateway
    else:
        received = figures.total("count_frames_received_total", stream=stream)
    published = figures.total("count_frames_out_total", stream=stream)
    return Balance(received, published, dropped, in_flight(figures, stream), masks.count(stream))
