"""Waiting for changes."""

import asyncio

from ssa_stream.nodes.ingest.change_condition import ChangeCondition


async def test_waiting_ends_when_it_is_so_and_not_at_other_changes() -> None:
    """Each who waits looks for himself."""
    condition, came = ChangeCondition(), list[str]()
    waiting = asyncio.create_task(condition.until(lambda: "letter" in came))
    for what in ("bill", "letter"):
        await asyncio.sleep(0)
        assert not waiting.done()
        came.append(what)
        condition.notify()
    assert await waiting


async def test_waiting_with_a_limit_says_whether_it_came_true() -> None:
    """It may have come true at the last moment."""
    condition = ChangeCondition()
    assert not await condition.until(lambda: False, timeout_s=0.001)
    assert await condition.until(lambda: True, timeout_s=0.001)
    await condition.wait(0.001)
