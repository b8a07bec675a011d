"""Strangers at the page's door: silent, slow and many connections. The page is there for everybody else."""

import resource
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from ssa_stream.nodes.gateway.settings import PeerLimits
from ssa_stream.nodes.runtime.http.connections import HttpLimits
from tests.support.certificates import certificate
from tests.support.strangers import Stranger, exchange, gateway_process, silent_crowd, status_of
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("warm_python", "_room_for_a_crowd")]

_GET = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
_BEGUN = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: "
_SLOW_OFFER = (
    b"POST /whip/cam HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/sdp\r\nContent-Length: 100\r\n"
    b"Expect: 100-continue\r\n\r\n"
)


@pytest.fixture
def _room_for_a_crowd() -> Iterator[None]:
    """This process needs a descriptor for each stranger."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(1024, hard)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_silent_connections_beyond_the_limit_of_open_files_keep_nobody_out(tmp_path: Path) -> None:
    """More connections than descriptors: the page answers meanwhile and after, and the log stays small."""
    limits = HttpLimits(head_s=1.5)
    with gateway_process(tmp_path, open_files=256, http=limits, limits=PeerLimits(peers=2)) as gateway:
        before = gateway.open_files()
        with silent_crowd(gateway.port, 400) as crowd:
            assert gateway.status() == 200
            assert gateway.status(address="127.0.0.2") == 200
            wait_until(lambda: all(one.is_closed() for one in crowd), "silent connections are dropped")
            assert gateway.status() == 200
        wait_until(lambda: gateway.open_files() <= before + 1, "descriptors come back")
        assert "Traceback" not in gateway.log
        assert len(gateway.log) < 4000, gateway.log


def test_flood_from_several_addresses_leaves_room_for_another(tmp_path: Path) -> None:
    """Each address has its share; a newcomer takes the place of a silent one of the greediest."""
    limits = HttpLimits(connections=40, connections_per_address=20, head_s=60)
    with gateway_process(tmp_path, http=limits) as gateway:
        with (
            silent_crowd(gateway.port, 60, "127.0.0.2") as first,
            silent_crowd(gateway.port, 19, "127.0.0.3") as second,
            Stranger(gateway.port, "127.0.0.4") as patient,
        ):
            wait_until(lambda: sum(one.is_closed() for one in first) >= 40, "an address has no more than its share")
            for _ in range(5):
                assert gateway.status(address="127.0.0.5") == 200
            assert not any(one.is_closed() for one in second)
            assert not patient.is_closed()


def test_slow_offers_are_given_up_and_others_are_served_meanwhile(tmp_path: Path) -> None:
    """An address that keeps all of its connections busy gets no further one; another address does."""
    limits = HttpLimits(connections_per_address=3, body_s=2.0)
    with gateway_process(tmp_path, http=limits) as gateway:
        slow = [Stranger(gateway.port, "127.0.0.2").send(_SLOW_OFFER) for _ in range(3)]
        for one in slow:
            assert status_of(one.read_some()) == 100  # so it is being done
        assert gateway.status(address="127.0.0.2") in (0, 503)
        assert gateway.status(address="127.0.0.1") == 200
        assert [status_of(one.read_all()) for one in slow] == [408] * 3
        wait_until(lambda: gateway.status(address="127.0.0.2") == 200, "there is room again")
        for one in slow:
            one.close()


def test_descriptors_that_others_have_taken_refuse_newcomers_at_once(tmp_path: Path) -> None:
    """Fewer are left than connections are allowed: who cannot be let in is told, and the log has a line a second."""
    with gateway_process(tmp_path, http=HttpLimits(body_s=2.0, connections_per_address=200)) as gateway:
        left = gateway.open_files() + 8
        resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE, (left, left))
        crowd = [Stranger(gateway.port).send(_SLOW_OFFER) for _ in range(60)]
        statuses = [status_of(one.read_some()) for one in crowd]
        assert statuses.count(100) > 0
        assert statuses.count(100) + statuses.count(503) + statuses.count(0) == 60
        assert statuses.count(100) <= 8
        assert [status_of(one.read_all()) for one, status in zip(crowd, statuses, strict=True) if status == 100] == [
            408
        ] * statuses.count(100)
        wait_until(lambda: gateway.status() == 200, "there is room again")
        for one in crowd:
            one.close()
        assert "a connection cannot be accepted" in gateway.log
        assert "Traceback" not in gateway.log
        assert len(gateway.log) < 4000, gateway.log


def test_header_that_comes_byte_by_byte_is_given_up(tmp_path: Path) -> None:
    """Every byte comes in time, the header does not; the same after a first request that was in order."""
    with gateway_process(tmp_path, http=HttpLimits(head_s=1.0)) as gateway:
        with Stranger(gateway.port) as first, Stranger(gateway.port) as second:
            first.send(_BEGUN)
            assert status_of(second.send(_GET).read_some()) == 200
            second.send(_BEGUN)
            wait_until(lambda: first.send(b"a").is_closed(), "the slow one is dropped")
            wait_until(lambda: second.send(b"a").is_closed(), "the one that became slow is dropped")
        assert gateway.status() == 200
        assert "a connection took too long" in gateway.log


def test_answers_that_nobody_reads_are_given_up(tmp_path: Path) -> None:
    """Many requests on one connection, whose answers fill all buffers."""
    with gateway_process(tmp_path, http=HttpLimits(idle_s=1.0, head_s=1.0)) as gateway:
        with Stranger(gateway.port, patience_s=2.0) as one:
            one.send_while_read(_GET * 50)
            wait_until(lambda: gateway.connections() == 0, "the connection is dropped")
        assert gateway.status() == 200


def test_silence_before_and_after_tls_is_given_up(tmp_path: Path) -> None:
    """Neither a handshake that does not come nor a request that does not come keeps a descriptor."""
    cert, key = certificate(tmp_path)
    context = ssl.create_default_context(cafile=str(cert))
    limits = HttpLimits(head_s=1.5)
    with gateway_process(tmp_path, http=limits, tls_cert=str(cert), tls_key=str(key)) as gateway:
        before = gateway.open_files()
        with Stranger(gateway.port) as silent, Stranger(gateway.port) as plain, Stranger(gateway.port) as greeted:
            with context.wrap_socket(greeted.raw, server_hostname="127.0.0.1") as after:
                plain.send(_GET)
                assert after.recv(1) == b""
                wait_until(silent.is_closed, "no handshake")
                wait_until(plain.is_closed, "no TLS")
        with context.wrap_socket(
            socket.create_connection(("127.0.0.1", gateway.port)), server_hostname="127.0.0.1"
        ) as honest:
            honest.sendall(_GET)
            assert honest.recv(12) == b"HTTP/1.1 200"
        wait_until(lambda: gateway.open_files() <= before, "descriptors come back")
        assert "Traceback" not in gateway.log


@pytest.mark.parametrize(
    "request_line", [b"DELETE /sessions/guess", b"OPTIONS /whip/cam", b"GET /nothing", b"HEAD /", b"GET /livez"]
)
def test_flood_of_requests_writes_a_line_a_second(tmp_path: Path, request_line: bytes) -> None:
    """Whatever is asked."""
    request = request_line + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    last = request_line + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    with gateway_process(tmp_path) as gateway:
        answer = exchange(gateway.port, request * 100 + last)
        assert answer.count(b"HTTP/1.1 ") == 101
        assert gateway.status() == 200
        assert len(gateway.log) < 4000, gateway.log
