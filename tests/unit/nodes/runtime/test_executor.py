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
