"""The one place where model work leaves the event loop."""

import asyncio
import copy
import functools
import heapq
import itertools
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple, ParamSpec, Self, TypeVar

from ssa_stream.errors import ConfigError

__all__ = ["ModelExecutor"]

P = ParamSpec("P")
T = TypeVar("T")

_LATEST_FIRST = ("masks", "decoder", "queries", "encoder")
"""Roles in the order in which their work is done. What is of no role here is short and waited for: it is first."""
_HAND_OVER_S = 0.003
"""Longest time that the thread waits for the next stage of a live frame; a message between two nodes of a process takes
1 ms. It is lost if the next stage has nothing to do."""


class _Call(NamedTuple):
    """Work that waits, in the order in which it is done."""

    rank: int
    number: int
    work: Callable[[], Any]
    future: "Future[Any]"
    is_handed_on: bool


class _Queue:
    """Calls that wait for the thread, and the ranks whose work comes here."""

    def __init__(self, hand_over_s: float) -> None:
        self.ranks = set[int]()
        self._calls: list[_Call] = []
        self._changed = threading.Condition()
        self._numbers = itertools.count()
        self._hand_over_s = hand_over_s
        self._held_rank, self._held_until_s = 0, 0.0
        self._is_closed = self._is_at_work = False

    @property
    def is_busy(self) -> bool:
        """Whether the thread works, or has work."""
        with self._changed:
            return self._is_at_work or bool(self._calls)

    def put(self, rank: int, work: Callable[[], Any], is_handed_on: bool) -> "Future[Any]":
        future = Future[Any]()
        with self._changed:
            if self._is_closed:
                raise RuntimeError("no model work is done any more")
            heapq.heappush(self._calls, _Call(rank, next(self._numbers), work, future, is_handed_on))
            self._changed.notify_all()
        return future

    def do_next(self) -> None:
        """Do what is furthest; in the thread, once for each call that was put."""
        if (call := self._take()) is None:
            return
        if call.future.set_running_or_notify_cancel():
            try:
                result = call.work()
            except BaseException as error:  # it is the caller's, whatever it is; as in ThreadPoolExecutor
                call.future.set_exception(error)
            else:
                call.future.set_result(result)
        with self._changed:
            self._is_at_work = False
            if call.is_handed_on and any(rank < call.rank for rank in self.ranks):
                self._held_rank, self._held_until_s = call.rank, time.monotonic() + self._hand_over_s
            else:
                self._held_rank = 0
        del call  # an error refers to this frame: with the call in it, tensors would live until the next collection

    def close(self) -> None:
        with self._changed:
            self._is_closed = True
            for call in self._calls:
                call.future.cancel()
            self._calls.clear()
            self._changed.notify_all()

    def _take(self) -> _Call | None:
        with self._changed:
            while not self._is_closed and self._calls[0].rank >= self._held_rank > 0:
                if (left_s := self._held_until_s - time.monotonic()) <= 0:
                    break
                self._changed.wait(left_s)
            if self._is_closed:
                return None
            self._is_at_work = True
            return heapq.heappop(self._calls)


class ModelExecutor:
    """One thread that runs model work, so that the event loop stays free: what is furthest first.

    One thread, because a network on one device is no faster from two, and because results must not depend on which of
    two calls came first. Work of a later stage goes before that of an earlier one: newer frames do not hold up older
    ones (ADR 0090). Within a stage calls keep their order. Cancelling `run` does not stop the call: what has begun
    is finished, and `close` waits for it unless it is told not to.

    Args:
        threads: Processor threads that torch uses for one operation; None leaves them as they are.
        hand_over_s: Longest time for which earlier stages wait for the next one of a frame, see `handing_on`.
    """

    def __init__(self, threads: int | None = None, hand_over_s: float = _HAND_OVER_S) -> None:
        if threads is not None and threads < 1:
            raise ConfigError(f"threads is {threads}; expected at least 1, or none to leave torch's own number")
        self._threads = threads
        self._busy: Callable[[], AbstractContextManager[None]] = nullcontext
        self._rank, self._is_handed_on = 0, False
        self._queue = _Queue(hand_over_s)
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="model", initializer=self._begin)

    def _begin(self) -> None:
        if self._threads is not None:
            import torch

            torch.set_num_threads(self._threads)

    @property
    def is_busy(self) -> bool:
        """Whether work that is given now has to wait."""
        return self._queue.is_busy

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run something in the thread, after later stages and after what this stage was given before.

        Raises:
            RuntimeError: The executor is closed.
        """
        measured = functools.partial(self._work, functools.partial(work, *args, **kwargs))
        call = self._queue.put(self._rank, measured, self._is_handed_on)
        self._pool.submit(self._queue.do_next)
        return await asyncio.wrap_future(call)

    def measured(self, busy: Callable[[], AbstractContextManager[None]]) -> Self:
        """The same thread, for work that is measured.

        Args:
            busy: Entered in the thread while a piece of work runs; not while it waits for its turn.
        """
        view = copy.copy(self)
        view._busy = busy
        return view

    def of_role(self, role: str) -> Self:
        """The same thread, for the work of a node.

        Args:
            role: The node's; says what goes before its work and what after.
        """
        view = copy.copy(self)
        view._rank = _LATEST_FIRST.index(role) + 1 if role in _LATEST_FIRST else 0
        self._queue.ranks.add(view._rank)
        return view

    def handing_on(self, is_handed_on: bool = True) -> Self:
        """The same thread, for work after which the frame goes to a later stage.

        Where that stage is one of this thread, earlier stages wait a moment for it: else they would always be there
        first, for the frame is on its way to the next node.

        Args:
            is_handed_on: False gives the thread as it is.
        """
        view = copy.copy(self)
        view._is_handed_on = is_handed_on
        return view

    def _work(self, work: Callable[[], T]) -> T:
        with self._busy():
            return work()

    def close(self, wait: bool = True) -> None:
        """Drop what has not begun. May be called again.

        Args:
            wait: For what has begun; else its thread ends by itself when that is done.
        """
        self._queue.close()
        self._pool.shutdown(wait=wait, cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
