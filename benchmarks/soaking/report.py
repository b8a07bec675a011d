"""What a soak has found, for people and for programs."""

import dataclasses
import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.soaking.faults import CAMERA
from benchmarks.soaking.figures import Balance, Slope, slope
from benchmarks.soaking.inside import Inside, growth
from benchmarks.soaking.run import Recovery, Sample

__all__ = ["Report"]

MOST_GROWTH_MIB, JUDGED_FROM_S = 5.0, 1800.0
"""Growth of memory in an hour that is too much; and how long it has to be measured to be judged."""
_MEMORY = "memory, MiB"
_LEAST_OBJECTS, _LEAST_BYTES = 50, 16_384


@dataclass(frozen=True)
class Report:
    """Findings.

    Attributes:
        samples: In the order of time.
        recoveries: One for each fault.
        balances: By stream.
        sent_by_camera: Pictures that the WebRTC cameras encoded; a few of each do not get through its end.
        cameras: How many of them there were, one after the other.
        nodes_lost: How often a node was lost; then its figures have begun anew, and no balance can close.
        exit_code: Of the graph, when it was told to end.
        warm_up_s: What was measured before is left out of slopes.
        inside: What each process held inside at the end of the warm-up and at the end, by its name; only of processes
            that answered both times.
    """

    samples: Sequence[Sample]
    recoveries: Sequence[Recovery]
    balances: Mapping[str, Balance]
    sent_by_camera: int
    cameras: int
    nodes_lost: int
    exit_code: int
    warm_up_s: float
    inside: Mapping[str, tuple[Inside, Inside]] = field(default_factory=dict)

    @property
    def measured_s(self) -> float:
        """How long was measured after the warm-up."""
        return max(0.0, self.samples[-1].at_s - self.warm_up_s) if self.samples else 0.0

    @property
    def grows(self) -> bool:
        """Whether memory grows by too much; not judged of a short soak, whose allocators still fill."""
        found = self.slopes()[_MEMORY]
        return found is not None and self.measured_s >= JUDGED_FROM_S and found.per_hour > MOST_GROWTH_MIB

    @property
    def is_sound(self) -> bool:
        """Whether all books close, everything came back and memory does not grow."""
        return not self.grows and (
            all(balance.closes for balance in self.balances.values())
            and all(recovery.took_s is not None for recovery in self.recoveries)
            and not self.nodes_lost
            and not self.exit_code
        )

    def slopes(self) -> dict[str, Slope | None]:
        """What may grow, each with its unit."""
        samples = self.samples
        names = sorted({name for one in samples for name in one.holdings.mib})
        series: dict[str, list[float | None]] = {_MEMORY: [one.holdings.total_mib for one in samples]}
        for name in names:
            series[f"  {name}, MiB"] = [one.holdings.mib.get(name) for one in samples]
        series["resident, MiB"] = [sum(one.holdings.resident_mib.values()) for one in samples]
        for name in names:
            series[f"  {name}, resident, MiB"] = [one.holdings.resident_mib.get(name) for one in samples]
        series["open files"] = [one.holdings.files for one in samples]
        series["threads"] = [one.holdings.threads for one in samples]
        for stream in self.balances:
            series[f"age of {stream}, p50, ms"] = [one.ages[stream].p50_ms for one in samples]
            series[f"age of {stream}, p95, ms"] = [one.ages[stream].p95_ms for one in samples]
        times_s = [one.at_s for one in samples]
        return {name: slope(times_s, values, after_s=self.warm_up_s) for name, values in series.items()}

    def lines(self) -> Iterator[str]:
        """Tables."""
        yield f"\n{f'after the first {self.warm_up_s:.0f} s':28s} {'mean':>9s} {'slope, per hour':>22s}"
        for name, found in self.slopes().items():
            yield f"{name:28s} " + ("   too few to tell" if found is None else _slope_cells(found))
        yield from self._session_lines()
        yield from self._inside_lines()
        yield f"\n{'fault':28s} {'times':>6s} {'median, s':>10s} {'longest, s':>11s}   from when it could work again"
        for name, times_s in self._by_fault().items():
            yield f"{name:28s} {len(times_s):6d} " + _recovery_cells(times_s)
        yield from self._balance_lines()
        if self.grows:
            yield f"memory grows by more than {MOST_GROWTH_MIB:g} MiB an hour"
        if self.nodes_lost:
            yield f"nodes were lost {self.nodes_lost} times"
        if self.exit_code:
            yield f"the graph ended with exit code {self.exit_code}"
        yield "\nsound" if self.is_sound else "\nNOT SOUND"

    def to_mapping(self) -> dict[str, Any]:
        """Everything, for JSON."""
        plain = dataclasses.asdict(dataclasses.replace(self, balances={}, inside={}))
        plain["inside"] = {name: [one._asdict() for one in pair] for name, pair in self.inside.items()}
        plain["mib_per_camera_session"] = self.mib_per_session
        plain["slopes"] = {name.strip(): found and found._asdict() for name, found in self.slopes().items()}
        plain["balances"] = {
            stream: {
                **dataclasses.asdict(dataclasses.replace(one, dropped={})),
                "dropped": {f"{node} {reason}": count for (node, reason), count in one.dropped.items()},
                "remainder": one.remainder,
            }
            for stream, one in self.balances.items()
        }
        return {**plain, "is_sound": self.is_sound}

    @property
    def mib_per_session(self) -> float | None:
        """Growth for each camera session that ended after the warm-up; None if none did."""
        ended = sum(one.fault.target == CAMERA and one.fault.at_s >= self.warm_up_s for one in self.recoveries)
        found = self.slopes()[_MEMORY]
        return None if found is None or not ended else found.per_hour * self.measured_s / 3600 / ended

    def _session_lines(self) -> Iterator[str]:
        found = self.mib_per_session
        if found is not None:
            yield f"{'memory by camera session, MiB':28s} {found:+20.3f}"

    def _inside_lines(self) -> Iterator[str]:
        for name, (before, after) in self.inside.items():
            yield (
                f"\n{name}: {sum(before.types.values())} objects, then {sum(after.types.values())}; the allocator has "
                f"{before.allocator_mib:.1f} MiB ({before.free_mib:.1f} free), then {after.allocator_mib:.1f} "
                f"({after.free_mib:.1f} free), in {after.arenas} arenas, and {after.mapped_mib:.1f} MiB mapped"
            )
            for kind, count in growth(before.types, after.types, least=_LEAST_OBJECTS).items():
                yield f"  {count:+9d}   {kind}"
            for place, size in growth(before.places, after.places, least=_LEAST_BYTES).items():
                yield f"  {size:+9d} B {place}"

    def _by_fault(self) -> dict[str, list[float | None]]:
        found: dict[str, list[float | None]] = defaultdict(list)
        for recovery in self.recoveries:
            found[f"{recovery.fault.target} {recovery.fault.kind}"].append(recovery.took_s)
        return dict(sorted(found.items()))

    def _balance_lines(self) -> Iterator[str]:
        for stream, one in self.balances.items():
            yield f"\n{stream + ': received':28s} {one.received:9d}"
            yield f"{'  published':28s} {one.published:9d}   {one.seen} of them came to the subscriber"
            for (node, reason), count in sorted(one.dropped.items()):
                yield f"{f'  {reason}, {node}':28s} {count:9d}"
            yield f"{'  in flight':28s} {one.in_flight:9d}"
            yield f"{'  remainder':28s} {one.remainder:9d}"
        yield f"\n{self.cameras} cameras, one after the other, encoded {self.sent_by_camera} pictures"


def _slope_cells(found: Slope) -> str:
    return f"{found.mean:9.1f} {found.per_hour:+11.2f} +- {found.error_per_hour:<7.2f}"


def _recovery_cells(times_s: Sequence[float | None]) -> str:
    known = [one for one in times_s if one is not None]
    lost = f"   {len(times_s) - len(known)} did not" if len(known) < len(times_s) else ""
    return (f"{statistics.median(known):10.2f} {max(known):11.2f}" if known else f"{'-':>10s} {'-':>11s}") + lost
