"""Fixtures of tests that talk to the gateway."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import aioice.ice
import pytest


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
