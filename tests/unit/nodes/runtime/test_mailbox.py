"""The bounded queue between tasks."""

import asyncio

import pytest

from ssa_stream.errors import ConfigError
from ssa_stream.nodes.runtime.mailbox import Mailbox


async def test_mailbox_full_newest_replaces_oldest() -> None:
    """Who asks late gets the freshest."""
    mailbox: Mailbox[int] = Mailbox(2)
    assert [mailbox.put(item) for item in range(4)] == [0, 0, 1, 1]
    assert [await mailbox.get(), await mailbox.get()] == [2, 3]
    assert (mailbox.depth, mailbox.dropped) == (0, 2)


async def test_mailbox_full_and_keeping_refuses_newest() -> None:
    """What was promised stays."""
    mailbox: Mailbox[int] = Mailbox(2, drop_oldest=False)
    assert [mailbox.put(item) for item in range(3)] == [0, 0, 1]
    assert [mailbox.take(), mailbox.take(), mailbox.take()] == [0, 1, None]
    assert mailbox.dropped == 1


async def test_mailbox_get_waits_for_put() -> None:
    """Nothing is polled."""
    mailbox: Mailbox[str] = Mailbox()
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(mailbox.get())
        await asyncio.sleep(0)
        mailbox.put("here")
    assert waiting.result() == "here"


async def test_mailbox_get_cancelled_after_put_loses_nothing() -> None:
    """The cancelled wait leaves the item to the next one."""
    mailbox: Mailbox[str] = Mailbox()
    waiting = asyncio.create_task(mailbox.get())
    await asyncio.sleep(0)
    mailbox.put("here")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await asyncio.wait_for(mailbox.get(), 5) == "here"


def test_mailbox_without_room_is_refused() -> None:
    """A queue of nothing is a mistake."""
    with pytest.raises(ConfigError, match="capacity 0; expected at least 1"):
        Mailbox[int](0)
