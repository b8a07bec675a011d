"""The one place where model work leaves the event loop."""

import asyncio
import copy
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import ParamSpec, Self, TypeVar

from ssa_stream.errors import ConfigError

__all__ = ["ModelExecutor"]

P = ParamSpec("P")
T = TypeVar("T")


class ModelExecutor:
    """One thread that runs model work in order, so that the event loop stays free.

    One thread, because a network on one device is no faster from two, and because results must not depend on which of
    two calls came first. Cancelling `run` does not stop the call: what has begun is finished, and `close` waits for
    it unless it is told not to.

    Args:
        threads: Processor threads that torch uses for one operation; None leaves them as they are.
    """

    def __init__(self, threads: int | None = None) -> None:
        if threads is not None and threads < 1:
            raise ConfigError(f"threads is {threads}; expected at least 1, or none to leave torch's own number")
        self._threads = threads
        self._busy: Callable[[], AbstractContextManager[None]] = nullcontext
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="model", initializer=self._begin)

    def _begin(self) -> None:
        if self._threads is not None:
            import torch

            torch.set_num_threads(self._threads)

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run something in the thread, after what was given before.

        Raises:
            RuntimeError: The executor is closed.
        """
        call = self._pool.submit(self._work, functools.partial(work, *args, **kwargs))
        return await asyncio.wrap_future(call)

    def measured(self, busy: Callable[[], AbstractContextManager[None]]) -> Self:
        """The same thread, for work that is measured.

        Args:
            busy: Entered in the thread while a piece of work runs; not while it waits for its turn.
        """
        view = copy.copy(self)
        view._busy = busy
        return view

    def _work(self, work: Callable[[], T]) -> T:
        with self._busy():
            return work()

    def close(self, wait: bool = True) -> None:
        """Drop what has not begun. May be called again.

        Args:
            wait: For what has begun; else its thread ends by itself when that is done.
        """
        self._pool.shutdown(wait=wait, cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
