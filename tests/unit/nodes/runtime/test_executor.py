"""The thread for model work."""

import asyncio
import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from ssa_stream.errors import ConfigError
from ssa_stream.nodes.runtime.executor import ModelExecutor


async def test_executor_runs_in_order_in_one_thread() -> None:
    """Two calls never overlap, and come in the order of asking."""
    order: list[int] = []

    def note(number: int) -> int:
        order.append(number)
        return threading.get_ident()

    with ModelExecutor() as executor:
        threads = await asyncio.gather(*(executor.run(note, number) for number in range(5)))
    assert order == [0, 1, 2, 3, 4]
    assert len(set(threads)) == 1
    assert threads[0] != threading.get_ident()


async def test_executor_failure_comes_to_the_caller() -> None:
    """And the next call works."""
    with ModelExecutor() as executor:
        with pytest.raises(ZeroDivisionError):
            await executor.run(lambda: 1 // 0)
        assert await executor.run(int, "7") == 7


async def test_executor_cancelled_wait_close_waits_for_the_work() -> None:
    """Nothing runs on after close."""
    begun, go_on, done = asyncio.Event(), threading.Event(), []
    loop = asyncio.get_running_loop()

    def work() -> None:
        loop.call_soon_threadsafe(begun.set)
        go_on.wait(10)
        done.append(True)

    executor = ModelExecutor()
    waiting = asyncio.create_task(executor.run(work))
    await asyncio.wait_for(begun.wait(), 10)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert done == []
    go_on.set()
    executor.close()
    executor.close()
    assert done == [True]


async def test_executor_threads_hold_in_its_thread() -> None:
    """They are set where the work is done."""
    with ModelExecutor(threads=1) as executor:
        assert await executor.run(torch.get_num_threads) == 1


def test_executor_without_threads_is_refused() -> None:
    """Torch would take 0 for something else."""
    with pytest.raises(ConfigError, match="threads is 0"):
        ModelExecutor(threads=0)


async def test_work_is_measured_for_whom_it_is_done_and_only_while_it_runs() -> None:
    """Two nodes share the thread: while one works the other waits, which is no work of its own."""
    log: list[str] = []

    @contextmanager
    def busy(name: str) -> Iterator[None]:
        log.append(f"{name} begins")
        yield
        log.append(f"{name} ends")

    with ModelExecutor() as executor:
        first, second = (executor.measured(functools.partial(busy, name)) for name in ("encoder", "masks"))
        await asyncio.gather(first.run(log.append, "encodes"), second.run(log.append, "masks"), executor.run(int))
    assert log == ["encoder begins", "encodes", "encoder ends", "masks begins", "masks", "masks ends"]


async def test_later_stages_go_before_earlier_ones_and_a_stage_keeps_its_order() -> None:
    """What waits when the thread is free is taken from the end of the graph; what is of no stage waits for nobody."""
    order: list[str] = []
    begun, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def hold_up() -> None:
        loop.call_soon_threadsafe(begun.set)
        go_on.wait(10)

    with ModelExecutor() as executor:
        of = {role: executor.of_role(role) for role in ("ingest", "encoder", "queries", "decoder", "masks")}
        first = asyncio.create_task(of["masks"].run(hold_up))
        await begun.wait()
        asked = ["encoder 1", "queries 1", "encoder 2", "masks 1", "decoder 1", "ingest 1", "queries 2", "masks 2"]
        rest = asyncio.gather(*(of[name.split()[0]].run(order.append, name) for name in asked))
        await asyncio.sleep(0)  # they have been asked for
        assert executor.is_busy
        go_on.set()
        await asyncio.gather(first, rest)
    assert order == [
        "ingest 1", "masks 1", "masks 2", "decoder 1", "queries 1", "queries 2", "encoder 1", "encoder 2",
    ]  # fmt: skip


async def test_new_frame_waits_for_the_next_stage_of_one_that_is_handed_on() -> None:
    """Though it was there first: the message to the next node takes a moment."""
    order: list[str] = []
    with ModelExecutor(hand_over_s=10) as executor:
        encoder, queries = executor.of_role("encoder"), executor.of_role("queries")

        async def frame(name: str) -> None:
            await encoder.handing_on().run(order.append, f"{name} encoder")
            await asyncio.sleep(0.01)  # on its way
            await queries.run(order.append, f"{name} queries")

        await asyncio.gather(frame("a"), frame("b"))
    assert order == ["a encoder", "a queries", "b encoder", "b queries"]


@pytest.mark.parametrize(
    "roles", [["encoder"], ["encoder", "queries"]], ids=["no_later_stage_here", "it_does_not_come"]
)
async def test_new_frame_does_not_wait_for_what_cannot_come_or_does_not(roles: list[str]) -> None:
    """In a process of its own an encoder has nobody to wait for; a frame that is dropped is waited for a moment."""
    with ModelExecutor(hand_over_s=1000 if len(roles) == 1 else 0.01) as executor:
        encoder, *_ = [executor.of_role(role).handing_on() for role in roles]
        async with asyncio.timeout(10):
            await asyncio.gather(encoder.run(int), encoder.run(int))


async def test_close_while_the_thread_waits_for_a_hand_over_drops_what_has_not_begun() -> None:
    """It does not wait for the end of that."""
    executor = ModelExecutor(hand_over_s=1000)
    executor.of_role("queries")
    encoder = executor.of_role("encoder").handing_on()
    await encoder.run(int)
    waiting = asyncio.create_task(encoder.run(int))
    await asyncio.sleep(0)
    executor.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    with pytest.raises(RuntimeError):
        await encoder.run(int)
