"""Events, the first of several things, and the one error behind a group."""

import asyncio

from ssa_stream.nodes.runtime.tasks import first_of, only_error, wait_for_event


async def test_first_of_cancels_the_others() -> None:
    """And leaves none behind; a result can be had from its task."""
    never, soon = asyncio.Event(), asyncio.create_task(asyncio.sleep(0, "result"))
    waiting = asyncio.create_task(never.wait())
    assert await first_of(waiting, soon)
    assert waiting.cancelled()
    assert soon.result() == "result"


async def test_first_of_tells_whether_it_was_in_time() -> None:
    """Nothing came."""
    assert not await first_of(asyncio.Event().wait(), asyncio.Event().wait(), timeout_s=0.01)


async def test_first_of_cancelled_cancels_all() -> None:
    """No task survives who waited for it."""
    inner = asyncio.create_task(asyncio.Event().wait())
    outer = asyncio.create_task(first_of(inner))
    await asyncio.sleep(0)
    outer.cancel()
    await asyncio.wait([outer])
    assert outer.cancelled()
    assert inner.cancelled()


async def test_first_of_raises_no_error_of_what_it_waited_for() -> None:
    """Whoever wants it asks the task."""

    async def fail() -> None:
        raise ValueError

    assert await first_of(fail(), asyncio.Event().wait())


def test_only_error_is_found_however_deep_it_is() -> None:
    """Several stay a group."""
    error = ValueError("one")
    assert only_error(error) is error
    assert only_error(BaseExceptionGroup("", [ExceptionGroup("", [error])])) is error
    several = ExceptionGroup("", [error, TypeError()])
    assert only_error(ExceptionGroup("", [several])) is several


async def test_wait_for_event_tells_whether_it_was_in_time() -> None:
    """One that is set is not waited for."""
    event = asyncio.Event()
    assert not await wait_for_event(event, 0.01)
    event.set()
    assert await wait_for_event(event, 0.0)
