"""Which frames are too old, and how long others wait."""

from typing import Any

import msgspec
import pytest

from ssa_stream.nodes.steps.dropping import is_live, is_stale, wait_ns
from tests.support.model_nodes import pipeline
from tests.unit.nodes.steps.works import frame, work

CAPTURED = {"t_capture_ns": 0, "capture_clock": "monotonic:test"}
LIVE: dict[str, tuple[dict[str, Any], dict[str, Any], bool]] = {
    "file": ({"flow": "auto"}, {}, False),
    "camera": ({"flow": "auto"}, CAPTURED, True),
    "said_to_be_live": ({"flow": "auto", "live": True}, {}, True),
    "said_not_to_be_live": ({"flow": "auto", "live": False}, CAPTURED, False),
    "freshest": ({"flow": "freshest", "live": False}, {}, True),
    "every_frame": ({"flow": "every_frame", "live": True}, CAPTURED, False),
}


@pytest.mark.parametrize("kind", LIVE)
def test_stream_prefers_the_newest_frame_as_it_is_told(kind: str) -> None:
    """Else by its source."""
    stream, fields, expected = LIVE[kind]
    assert is_live(frame(0, **fields), pipeline(stream=stream)) is expected


def test_stale_is_what_is_older_than_the_budget_and_no_replay() -> None:
    """By one and the same clock."""
    settings, late_ns = pipeline(stream={"flow": "freshest"}, flow={"staleness_s": 0.5}), 500_000_001
    clock = "monotonic:test"
    assert is_stale(work(1, "a"), settings, clock=clock, now_ns=late_ns)
    assert not is_stale(work(1, "a"), settings, clock=clock, now_ns=late_ns - 1)
    assert not is_stale(work(1, "a", frames=2), settings, clock=clock, now_ns=late_ns)
    assert not is_stale(work(1, "a"), settings, clock="monotonic:other", now_ns=late_ns)
    other = msgspec.structs.replace(work(1, "a"), frame=frame(1, stream="unknown"))
    assert not is_stale(other, settings, clock=clock, now_ns=late_ns)


def test_where_every_frame_counts_a_hanging_node_is_noticed_before_the_wait_ends() -> None:
    """A live stream goes on after a short wait."""
    settings = pipeline(stream={"flow": "every_frame"}, flow={"reorder_wait_s": 0.25})
    assert wait_ns(frame(0), settings) > settings.health.hang_timeout_s * 1e9
    assert wait_ns(frame(0), pipeline(stream={"flow": "freshest"}, flow={"reorder_wait_s": 0.25})) == 250_000_000
