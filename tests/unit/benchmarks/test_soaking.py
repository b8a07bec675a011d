"""Arithmetic of a soak: slopes, balances, the plan of faults, the verdict."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from benchmarks.soaking.faults import CAMERA, KINDS, RTSP, Fault, plan_faults
from benchmarks.soaking.figures import Balance, slope
from benchmarks.soaking.graph import Figures, Holdings
from benchmarks.soaking.inside import Inside
from benchmarks.soaking.masks import Ages
from benchmarks.soaking.report import Report
from benchmarks.soaking.run import Recovery, Sample

METRICS = """
# TYPE ssa_stream_frames_dropped counter
ssa_stream_frames_dropped_total{node="ingest-rtsp",reason="overtaken",stream="rtsp"} 5.0
ssa_stream_frames_dropped_total{node="encoder-0",reason="stale",stream="rtsp"} 2.0
ssa_stream_frames_dropped_total{node="ingest-camera",reason="overtaken",stream="camera"} 1.0
# TYPE ssa_stream_node_losses counter
ssa_stream_node_losses_total{node="masks-0"} 1.0
ssa_stream_node_losses_total{node="decoder-0"} 2.0
"""
BALANCE = Balance(10, 7, {("ingest-rtsp", "overtaken"): 2}, 1, 7)


def test_slope_of_a_line_is_the_line() -> None:
    """Without scatter there is no error."""
    found = slope([0.0, 1800.0, 3600.0, 7200.0], [10.0, 11.0, 12.0, 14.0])
    assert found is not None
    assert found.per_hour == pytest.approx(2.0)
    assert found.error_per_hour == pytest.approx(0.0, abs=1e-9)
    assert (found.mean, found.samples) == (11.75, 4)


def test_slope_error_is_that_of_least_squares() -> None:
    """As `numpy.polyfit` has it in its covariance."""
    times_s = np.arange(40) * 90.0
    values = 5.0 + times_s / 3600 + np.random.default_rng(1).normal(0.0, 0.5, 40)
    found = slope(list(times_s), list(values))
    line, covariance = np.polyfit(times_s / 3600, values, 1, cov=True)
    assert found is not None
    assert found.per_hour == pytest.approx(line[0])
    assert found.error_per_hour == pytest.approx(np.sqrt(covariance[0, 0]))


def test_slope_leaves_out_the_warm_up_and_what_was_not_measured() -> None:
    """Three points are left, on a line."""
    found = slope([0, 10, 20, 30, 40], [99.0, 1.0, None, 3.0, 4.0], after_s=10)
    assert found is not None
    assert found.per_hour == pytest.approx(360.0)
    assert found.samples == 3


@pytest.mark.parametrize("times_s", [[], [1.0], [1.0, 2.0], [5.0, 5.0, 5.0]], ids=["none", "one", "two", "at_once"])
def test_slope_of_too_few_is_not_told(times_s: list[float]) -> None:
    """A line through two points has no error; through one moment there is no line."""
    assert slope(times_s, [1.0] * len(times_s)) is None


@pytest.mark.parametrize(
    ("changes", "remainder", "closes"),
    [
        ({}, 0, True),
        ({"received": 11}, 1, False),
        ({"published": 8, "seen": 8}, -1, False),
        ({"in_flight": 0}, 1, False),
        ({"dropped": {("a", "stale"): 1, ("b", "stale"): 1}}, 0, True),
        ({"seen": 6}, 0, False),
    ],
    ids=["closes", "lost", "counted_twice", "vanished_in_flight", "two_nodes", "not_seen"],
)
def test_balance_closes_only_if_every_frame_is_accounted_for(
    changes: dict[str, object], remainder: int, closes: bool
) -> None:
    """At the graph, and at its subscriber."""
    balance = replace(BALANCE, **changes)  # type: ignore[arg-type]  # fields by name
    assert (balance.remainder, balance.closes) == (remainder, closes)


def test_figures_are_summed_over_the_labels_that_are_not_asked_for() -> None:
    """And drops are told by node and reason."""
    figures = Figures(METRICS)
    assert figures.drops(RTSP) == {("ingest-rtsp", "overtaken"): 5, ("encoder-0", "stale"): 2}
    assert figures.total("frames_dropped_total") == 8
    assert figures.total("node_losses_total") == 3
    assert figures.total("node_losses_total", node="masks-0") == 1
    assert figures.total("unheard_of", stream=RTSP) == 0


def test_plan_is_that_of_its_seed_and_leaves_time_to_come_back() -> None:
    """All kinds come, none of a target while another one lasts."""
    plan = plan_faults(1200.0, 7)
    assert plan == plan_faults(1200.0, 7) != plan_faults(1200.0, 8)
    assert plan == sorted(plan)
    assert {(fault.target, fault.kind) for fault in plan} == {
        (target, kind) for target, kinds in KINDS.items() for kind in kinds
    }
    for target in KINDS:
        own = [fault for fault in plan if fault.target == target]
        assert all(later.at_s - earlier.ends_s > 10 for earlier, later in pairwise(own))
        assert own[-1].ends_s < 1195.0


def test_short_plan_has_a_fault_of_each_target() -> None:
    """So that half a minute tells something."""
    assert {fault.target for fault in plan_faults(30.0, 0)} == set(KINDS)


def _grown(per_hour: float, minutes: int) -> list[Sample]:
    """A sample a minute of memory that grows."""
    sizes = [{"gateway": 70.0 + per_hour * minute / 60} for minute in range(minutes + 1)]
    return [Sample(at * 60.0, Holdings(one, one, 80, 30), {RTSP: Ages(50.0, None)}) for at, one in enumerate(sizes)]


@pytest.mark.parametrize(
    ("per_hour", "minutes", "is_sound"),
    [(4.0, 60, True), (6.0, 60, False), (60.0, 20, True)],
    ids=["little", "too much", "not judged of a short soak"],
)
def test_memory_that_grows_for_long_is_not_sound(per_hour: float, minutes: int, is_sound: bool) -> None:
    """Before half an hour allocators still fill; what it comes to for each camera session is told anyway."""
    sessions = [Recovery(Fault(at * 60.0, 2.0, CAMERA, "left"), 1.0, 3.0) for at in range(0, minutes, 2)]
    report = _report(samples=_grown(per_hour, minutes), recoveries=sessions, warm_up_s=600.0)
    assert report.is_sound is is_sound
    assert report.mib_per_session == pytest.approx(per_hour * 2 / 60)
    text = "\n".join(report.lines())
    assert ("grows by more than 5 MiB an hour" in text) is not is_sound


def test_report_tells_what_has_become_more_inside() -> None:
    """Types and places that grew by little, or shrank, are left out."""
    before = Inside({"Peer": 1, "dict": 900, "list": 70}, 3, 30.0, 2.0, 7.0, 8, {"peers.py:99": 1000})
    after = before._replace(types={"Peer": 201, "dict": 800, "list": 80}, places={"peers.py:99": 900_000, "a.py:1": 10})
    report = _report(inside={"gateway": (before, after)})
    told = "\n".join(report.lines())
    assert "gateway: 971 objects, then 1081" in told
    assert "     +200   Peer\n" in told
    assert "  +899000 B peers.py:99\n" in told
    assert "dict" not in told
    assert "a.py:1" not in told
    assert json.loads(json.dumps(report.to_mapping()))["inside"]["gateway"][1]["types"]["Peer"] == 201


def _report(**changes: object) -> Report:
    samples = [
        Sample(
            at,
            Holdings({"launcher": 100.0 + at, "gateway": 50.0}, {"launcher": 400.0}, 80, 30),
            {RTSP: Ages(50.0, None)},
        )
        for at in (0.0, 10.0, 20.0, 30.0)
    ]
    faults = [Recovery(Fault(5.0, 2.0, RTSP, "killed"), 1.5, 3.5), Recovery(Fault(9.0, 1.0, CAMERA, "left"), 0.5, 1.5)]
    made = Report(samples, faults, {RTSP: BALANCE}, 12, 2, nodes_lost=0, exit_code=0, warm_up_s=5.0)
    return replace(made, **changes)  # type: ignore[arg-type]  # fields by name


def test_report_says_what_grows_what_was_lost_and_how_faults_ended() -> None:
    """In tables, and as JSON that can be read back."""
    text = "\n".join(_report().lines())
    for line in (
        r"memory, MiB                      170.0    +3600.00 +- 0.00",
        "age of rtsp, p95, ms            too few to tell",
        "rtsp killed                       1       1.50        1.50",
        "  overtaken, ingest-rtsp             2",
        "  remainder                          0",
    ):
        assert line in text
    assert text.endswith("\nsound")
    plain = json.loads(json.dumps(_report().to_mapping()))
    assert plain["slopes"]["launcher, MiB"]["per_hour"] == pytest.approx(3600.0)
    assert plain["balances"][RTSP]["dropped"] == {"ingest-rtsp overtaken": 2}


@pytest.mark.parametrize(
    "changes",
    [
        {"balances": {RTSP: replace(BALANCE, received=11)}},
        {"recoveries": [Recovery(Fault(5.0, 2.0, RTSP, "killed"), None, None)]},
        {"nodes_lost": 1},
        {"exit_code": 1},
    ],
    ids=["lost", "did_not_come_back", "node_lost", "bad_end"],
)
def test_report_is_not_sound_if_anything_is_wrong(changes: dict[str, object]) -> None:
    """And says so at the end."""
    report = _report(**changes)
    assert not report.is_sound
    assert list(report.lines())[-1] == "\nNOT SOUND"
