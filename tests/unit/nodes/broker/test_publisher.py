"""The newest state of everything."""

from ssa_stream.nodes.broker.publisher import LastValueCache


def test_keys_are_those_under_a_subscription() -> None:
    """The newest of each type on each topic."""
    values = LastValueCache()
    values.keep(b"v1/cam1/state", "source_state", (b"old",))
    values.keep(b"v1/cam1/state", "source_state", (b"new",))
    values.keep(b"v1/cam1/prompts", "prompts", (b"prompts",))
    values.keep(b"v1/cam2/state", "source_state", (b"other",))
    found = [values.get(key) for key in values.keys(b"v1/cam1/")]
    assert found == [(b"new",), (b"prompts",)]
    assert len(list(values.keys(b""))) == 3


def test_types_on_one_topic_are_kept_beside_each_other() -> None:
    """A node's heartbeat and its statistics."""
    values = LastValueCache()
    values.keep(b"v1/_nodes/state/a", "heartbeat", (b"1",))
    values.keep(b"v1/_nodes/state/a", "statistics", (b"2",))
    assert [values.get(key) for key in values.keys(b"v1/_nodes/")] == [(b"1",), (b"2",)]
