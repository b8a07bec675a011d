"""Waiting for events and for the first of several things, and the one error behind a group of errors."""

import asyncio
from collections.abc import Awaitable
from typing import Any

__all__ = ["first_of", "only_error", "wait_for_event"]


async def first_of(*waits: Awaitable[Any], timeout_s: float | None = None) -> bool:
    """Wait for the first of several; the others are cancelled. No error of theirs is raised here.

    Args:
        waits: Coroutines, or tasks and futures whose results are wanted.
        timeout_s: How long to wait at most; None for ever.
    Returns:
        Whether one was done in time.
    """
    tasks = [asyncio.ensure_future(one) for one in waits]
    try:
        done, _ = await asyncio.wait(tasks, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        return bool(done)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def wait_for_event(event: asyncio.Event, timeout_s: float) -> bool:
    """Wait for an event, but no longer than that; returns whether it was set in time."""
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return False
    return True


def only_error(error: BaseException) -> BaseException:
    """The error in a group that holds one, however deep; the group itself if it holds several."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
