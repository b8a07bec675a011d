"""Requests that wait for an answer."""

from ssa_stream.nodes.broker.client_handler import Pending, PendingRequests


def _request(client: bytes = b"c", stream: str = "cam0", deadline_ns: int = 10) -> Pending:
    return Pending(client, "mine", stream, "list_prompts", deadline_ns)


def test_take_gives_a_request_once() -> None:
    """And only to the stream that it is about."""
    pending = PendingRequests(4)
    first, second = pending.add(_request(b"a")), pending.add(_request(b"b"))
    assert first is not None
    assert second is not None
    assert first != second
    assert pending.take(first, "cam1") is None
    taken = pending.take(first, "cam0")
    assert taken is not None
    assert taken.client == b"a"
    assert pending.take(first, "cam0") is None
    assert len(pending) == 1


def test_add_beyond_capacity_refuses() -> None:
    """Until one was taken."""
    pending = PendingRequests(1)
    first = pending.add(_request())
    assert first is not None
    assert pending.add(_request()) is None
    pending.take(first, "cam0")
    assert pending.add(_request()) is not None


def test_expired_takes_what_has_reached_its_deadline() -> None:
    """And nothing else."""
    pending = PendingRequests(4)
    pending.add(_request(b"late", deadline_ns=10))
    pending.add(_request(b"early", deadline_ns=11))
    assert [request.client for request in pending.expired(10)] == [b"late"]
    assert pending.expired(10) == []
    assert [request.client for request in pending.expired(11)] == [b"early"]


def test_of_stream_takes_the_requests_of_one_stream() -> None:
    """The others wait on."""
    pending = PendingRequests(4)
    pending.add(_request(b"a", "cam0"))
    pending.add(_request(b"b", "cam1"))
    assert [request.client for request in pending.of_stream("cam0")] == [b"a"]
    assert len(pending) == 1
