"""A thread for calls that may never return."""

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

__all__ = ["Worker"]

T = TypeVar("T")
_Job = tuple[Callable[[], Any], "asyncio.Future[Any]"]


class Worker:
    """Runs calls one after the other in a thread of its own.

    Unlike an executor's, the thread is no reason for the process to wait at its end: a camera whose driver hangs must
    not keep a node from ending.

    Args:
        name: Of the thread.
    """

    def __init__(self, name: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, call: Callable[[], T]) -> "asyncio.Future[T]":
        """Run something after what was given before; the future may be left alone."""
        future: asyncio.Future[T] = self._loop.create_future()
        future.add_done_callback(lambda done: done.cancelled() or done.exception())  # an error nobody waits for is fine
        self._jobs.put((call, future))
        return future

    def close(self) -> None:
        """End the thread after what was given; `ended` is done then. Does not wait."""
        self._jobs.put(None)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            call, future = job
            try:
                result = call()
            except BaseException as error:  # handed to whoever waits, whatever it is
                self._tell(_set_error, future, error)
            else:
                self._tell(_set_result, future, result)
        self._tell(_set_result, self.ended, None)

    def _tell(self, set_outcome: Callable[..., None], future: "asyncio.Future[Any]", outcome: object) -> None:
        try:
            self._loop.call_soon_threadsafe(set_outcome, future, outcome)
        except RuntimeError:  # the loop has ended: nobody waits any more
            return


def _set_result(future: "asyncio.Future[Any]", result: object) -> None:
    if not future.done():
        future.set_result(result)


def _set_error(future: "asyncio.Future[Any]", error: BaseException) -> None:
    if not future.done():
        # A future cannot hold the former: it would end the loop of whoever awaits.
        future.set_exception(RuntimeError("a call ran out of items") if isinstance(error, StopIteration) else error)
