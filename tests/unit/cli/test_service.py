"""What a service manager is told, and what a source must have said for a graph to be ready."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ssa_stream.cli.readiness import source_problem
from ssa_stream.cli.service import ServiceManager
from tests.support.scripted_nodes import source_state


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """Hears what it is told."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
        link.bind(str(tmp_path / "notify"))
        link.setblocking(False)
        yield link


def test_manager_hears_that_the_service_is_ready_lives_and_stops(manager: socket.socket) -> None:
    """In the words of sd_notify; a state of several lines cannot smuggle in another message."""
    service = ServiceManager.of({"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "3000000"})
    assert service.watchdog_s == 3.0
    service.ready("stream cam0: lost\nSTOPPING=1")
    service.alive()
    service.stopping()
    service.stopping()
    service.alive()
    heard = [manager.recv(1000).decode() for _ in range(4)]
    assert heard == ["READY=1\nSTATUS=stream cam0: lost STOPPING=1", "WATCHDOG=1", "STOPPING=1", "WATCHDOG=1"]


def test_abstract_socket_is_reached() -> None:
    """Managers of users have such ones."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
        name = f"ssa-stream-test-{os.getpid()}"
        link.bind(f"\0{name}")
        link.setblocking(False)
        ServiceManager(f"@{name}").alive()
        assert link.recv(100) == b"WATCHDOG=1"


@pytest.mark.parametrize(
    "environment",
    [{}, {"NOTIFY_SOCKET": "/nowhere/notify"}, {"WATCHDOG_USEC": "3000000"}],
    ids=["none", "gone", "no socket"],
)
def test_service_goes_on_without_a_manager(environment: dict[str, str]) -> None:
    """It tells nobody, and does not fail."""
    service = ServiceManager.of(environment)
    assert service.watchdog_s is None
    service.ready("ready")
    service.stopping()


@pytest.mark.parametrize(
    ("variables", "watchdog_s"),
    [({"WATCHDOG_PID": "1"}, None), ({"WATCHDOG_PID": str(os.getpid())}, 2.0), ({"WATCHDOG_USEC": "soon"}, None)],
    ids=["of another process", "own", "no number"],
)
def test_watchdog_is_that_of_this_process(variables: dict[str, str], watchdog_s: float | None) -> None:
    """The variables may have been inherited."""
    environment = {"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "2000000", **variables}
    assert ServiceManager.of(environment).watchdog_s == watchdog_s


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"status": "running"}, ""),
        ({"status": "ended"}, ""),
        ({"status": "starting"}, None),
        ({"status": "starting", "attempt": 1}, None),
        ({"status": "lost", "code": "refused", "text": "no", "attempt": 2}, "reconnecting, attempt 2: no (refused)"),
        ({"status": "failed", "text": "it broke"}, "failed: it broke"),
    ],
    ids=["pictures", "over", "new", "connecting", "away", "failed"],
)
def test_source_has_answered_or_says_why_not(fields: dict[str, Any], problem: str | None) -> None:
    """None: nothing is known yet."""
    assert source_problem(source_state("cam0", **fields)) == problem
    assert source_problem(None) is None
