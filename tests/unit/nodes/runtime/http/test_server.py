"""Limits of connections within the limit of open files; addresses that are bound."""

import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from ssa_stream.errors import TransportError
from ssa_stream.nodes.runtime.http.connections import HttpLimits
from ssa_stream.nodes.runtime.http.server import bound, bound_file, within_open_files


@pytest.fixture
def _few_files() -> Iterator[int]:
    """This process may have 60 more open files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 60, hard))
    yield 60
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_within_open_files_enough_changes_nothing() -> None:
    """There is room for twenty in any process."""
    limits = HttpLimits(connections=20, connections_per_address=20)
    assert within_open_files(limits, 0) is limits


@pytest.mark.usefixtures("_few_files")
def test_within_open_files_few_lowers_both_limits() -> None:
    """What is kept for others is not given to connections; one address gets at most half."""
    limits = within_open_files(HttpLimits(connections=256, connections_per_address=64), 20)
    assert 36 <= limits.connections <= 40
    assert limits.connections_per_address == limits.connections // 2
    assert within_open_files(HttpLimits(), 1000).connections == 4


async def test_bound_taken_port_raises() -> None:
    """And what was bound is closed again."""
    (first,) = await bound("127.0.0.1", 0, advice="take another port")
    with first, pytest.raises(TransportError, match=r"in use.*take another port"):
        await bound("127.0.0.1", first.getsockname()[1], advice="take another port")


async def test_bound_all_addresses_binds_both_families() -> None:
    """An empty host is any."""
    found = await bound("", 0, advice="take another port")
    assert {one.getsockname()[0] for one in found} <= {"0.0.0.0", "::"}
    for one in found:
        one.close()


def test_bound_file_takes_the_place_of_an_old_one(tmp_path: Path) -> None:
    """One that nobody listens at was left by a process that was killed."""
    path = tmp_path / "socket"
    for _ in range(2):
        (one,) = bound_file(path)
        one.close()
