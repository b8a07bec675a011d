"""What is done when there are no more descriptors."""

import contextlib
import os
import resource
from collections.abc import Iterator

import pytest

from ssa_stream.nodes.launcher.run_dir import remove_leftovers
from ssa_stream.nodes.pipeline import PipelineConfig
from ssa_stream.nodes.runtime.descriptors import (
    DescriptorReserve,
    descriptors_of,
    file_limits,
    is_shortage,
    raise_file_limit,
    room_for_connections,
)
from ssa_stream.nodes.runtime.transport.segments import remove_segments


@contextlib.contextmanager
def _soft_limit(limit: int) -> Iterator[None]:
    """Another limit on open files for a while."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def reserve() -> Iterator[DescriptorReserve]:
    """One that is held, while nothing else can be opened."""
    made, taken = DescriptorReserve(4), []
    made.fill()
    highest = max(map(int, os.listdir("/proc/self/fd")))
    with _soft_limit(highest + 1):
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        yield made
        for descriptor in taken:
            os.close(descriptor)
    made.drop()


def test_reserve_lends_what_is_needed_once(reserve: DescriptorReserve) -> None:
    """And has it back afterwards."""
    with pytest.raises(OSError, match="Too many open files") as caught:
        os.listdir("/")
    assert is_shortage(caught.value)
    assert "proc" in reserve.spend(lambda: os.listdir("/"))
    with reserve.lent():
        assert "proc" in os.listdir("/")
    with pytest.raises(OSError, match="Too many open files"):
        os.listdir("/")


def test_clean_up_raises_nothing(reserve: DescriptorReserve) -> None:
    """What cannot be looked for is left."""
    assert remove_segments("ssa-nobody-") == 0
    assert remove_leftovers(remove_segments) == []


def test_limit_is_raised_as_far_as_it_may() -> None:
    """To the hard one."""
    _, hard = file_limits()
    with _soft_limit(200):
        assert file_limits()[0] == 200
        assert raise_file_limit() == file_limits()[0] == hard


def test_room_for_connections_is_what_the_limit_leaves() -> None:
    """A quarter of that is left for others; there is room for a few in any case."""
    config = PipelineConfig.from_mapping({"streams": {"cam0": {"source": "synthetic"}}})
    own = descriptors_of(config)
    assert room_for_connections(config, own + 100) == 75
    assert room_for_connections(config, 10_000) == config.clients.connections
    assert room_for_connections(config, own) == 8
