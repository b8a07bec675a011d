"""Rates of nodes and prompts, from what they publish."""

import pytest

from ssa_stream.cli.views.top_rates import Rates
from ssa_stream.protocols import DropCount, Heartbeat, Statistics
from tests.support.mask_messages import mask_parts, mask_view
from tests.support.scripted_nodes import heartbeat, statistics

SECOND = 1_000_000_000


def _beat(steps: int, at_s: float, incarnation: int = 0) -> Heartbeat:
    return heartbeat("encoder-0", incarnation=incarnation, steps=steps, at_ns=round(at_s * SECOND))


def _dropped(count: int, at_s: float) -> Statistics:
    drops = (DropCount(stream="cam0", reason="stale", count=count),)
    return statistics("encoder-0", at_ns=round(at_s * SECOND), drops=drops)


def test_rates_are_differences_over_the_last_two_seconds() -> None:
    """What is older does not count; nothing is known of one sample."""
    rates = Rates()
    rates.note(_beat(0, 0.0))
    assert rates.steps_per_s("encoder-0") is None
    for tenths in range(1, 51):
        rates.note(_beat(tenths if tenths <= 20 else 20 + 3 * (tenths - 20), tenths / 10))
    assert rates.steps_per_s("encoder-0") == pytest.approx(30.0)
    rates.note(_dropped(5, 0.0))
    rates.note(_dropped(9, 2.0))
    assert rates.drops_per_s("encoder-0") == pytest.approx(2.0)


def test_rates_of_a_restarted_node_begin_anew() -> None:
    """Its counters do, too: a rate is never negative."""
    rates = Rates()
    rates.note(_beat(100, 0.0))
    rates.note(_beat(1, 0.5, incarnation=1))
    assert rates.steps_per_s("encoder-0") is None
    rates.note(_beat(3, 1.0, incarnation=1))
    assert rates.steps_per_s("encoder-0") == pytest.approx(4.0)


def test_frames_with_masks_are_counted_once_for_all_prompts() -> None:
    """Those of the last two seconds; the age is that of the newest picture."""
    rates = Rates()
    for seq in range(6):
        for prompt in ("p1", "p2"):
            rates.note_masks(mask_view(mask_parts(seq, prompt=prompt), arrived_ns=(5 + seq) * SECOND))
    assert rates.masks_per_s("cam0", 10 * SECOND) == pytest.approx(1.5)
    assert rates.masks_per_s("cam0", 20 * SECOND) == 0
    figures = rates.prompts("cam0")["p1"]
    assert figures.objects == 1
    assert figures.score == pytest.approx(0.9)
    assert figures.age_ms is not None
