"""Fixtures of tests that start processes, and of tests that talk to the gateway."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator

import aiohttp
import aioice.ice
import pytest

from tests.support.warm_python import WarmServer, warm_starts


@pytest.fixture(scope="session")
def _warm_server() -> Iterator[WarmServer | None]:
    """One for all modules that use it."""
    if sys.platform != "linux":
        yield None
        return
    server = WarmServer()
    server.wait_until_ready()
    yield server
    server.close()


@pytest.fixture(scope="module")
def warm_python(_warm_server: WarmServer | None) -> Iterator[None]:
    """Python programs that tests of the module start need not import torch first: what they do is the point."""
    if _warm_server is None:
        yield
        return
    with warm_starts(_warm_server):
        yield


@pytest.fixture
async def no_idle_threads() -> AsyncIterator[None]:
    """Threads of the loop's own pool, which aiortc encodes in, end with the loop; here it has to be before."""
    yield
    await asyncio.get_running_loop().shutdown_default_executor()


@pytest.fixture
def media_on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """The peer's media stay on this machine, too."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """A client that is no browser."""
    async with aiohttp.ClientSession() as opened:
        yield opened
