"""Clients that ask a broker for other weights."""

import asyncio

import pytest

from ssa_stream.client import ReloadedWeights, reload_weights
from ssa_stream.errors import CheckpointError, ConfigError, TransportError
from ssa_stream.protocols import ErrorReply, Event, Reloaded, ReloadWeights
from tests.support.scripted_nodes import graph
from tests.support.threads import in_thread
from tests.support.waiting import until

pytestmark = pytest.mark.e2e

FINGERPRINT = "a09bf6104d820b5af88372568eb0534199ec94fbb0782e95ebc9c0e06e1c6340"


async def test_reload_is_answered_and_told_to_all() -> None:
    """With what was started again."""

    async def reload() -> tuple[str, tuple[str, ...]]:
        return FINGERPRINT, ("encoder-0",)

    async with graph(reload=reload) as running:
        watcher = running.subscriber()
        assert await in_thread(lambda: reload_weights(running.broker.requests_address)) == ReloadedWeights(
            FINGERPRINT, ("encoder-0",)
        )
        event = await watcher.hear(Event)
        assert (event.kind, event.text) == (
            "weights_reloaded",
            "encoder-0 were started again with the weights a09bf6104d82",
        )


async def test_refused_reload_is_an_error_with_the_reason() -> None:
    """The broker lives on."""

    async def reload() -> tuple[str, tuple[str, ...]]:
        raise CheckpointError("there is no file mine.safetensors")

    async with graph(reload=reload) as running:
        for _ in range(2):
            with pytest.raises(ConfigError, match=r"there is no file mine\.safetensors"):
                await in_thread(lambda: reload_weights(running.broker.requests_address))
        assert running.broker.counters["requests_refused"] == 2


async def test_graph_that_cannot_reload_says_so() -> None:
    """What to do instead is in the answer."""
    async with graph() as running:
        with pytest.raises(ConfigError, match="end it and start it again"):
            await in_thread(lambda: reload_weights(running.broker.requests_address))


async def test_reload_beside_another_is_refused_at_once() -> None:
    """It would wait for minutes; the first one is carried out once."""
    asked, go_on = 0, asyncio.Event()

    async def reload() -> tuple[str, tuple[str, ...]]:
        nonlocal asked
        asked += 1
        await go_on.wait()
        return FINGERPRINT, ()

    async with graph(reload=reload) as running:
        first, second = running.client(), running.client()
        await first.say(ReloadWeights(request_id="r1"))
        await until(lambda: asked, "the first one is under way")
        await second.say(ReloadWeights(request_id="r2"))
        refused = await second.hear(ErrorReply)
        assert (refused.code, refused.request_id) == ("busy", "r2")
        go_on.set()
        assert (await first.hear(Reloaded)).request_id == "r1"
        assert asked == 1


async def test_graph_that_is_not_there_is_an_error() -> None:
    """Nothing is kept for later."""
    with pytest.raises(TransportError, match="nobody takes requests at"):
        await in_thread(lambda: reload_weights("tcp://127.0.0.1:9", timeout_s=0.2))
    with pytest.raises(ConfigError, match="timeout_s is 0"):
        reload_weights(timeout_s=0)
