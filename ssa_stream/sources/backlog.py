"""Pictures that piled up before a live connection was ready: which they are, and the end of the waiting for more."""

import queue
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

__all__ = ["Backlog", "with_waits"]

# A read that waited this long waited for the camera, not for a copy out of a buffer.
_WAITED_S = 0.005
# However fast everything comes: a source that is not paced by the world has no backlog that ends.
_LONGEST_S = 5.0
# A picture that is held back for longer than this is the newest one there is, not one that the next overtakes at once.
_HELD_S = 0.25

_T = TypeVar("_T")


class Backlog:
    """Tells, at the start of a live stream, which pictures are old: those that come without any wait."""

    def __init__(self) -> None:
        self._is_over = False

    def holds(self, *, read_s: float, t: float) -> bool:
        """Whether the next picture is one of the backlog; asked once for each.

        Args:
            read_s: How long the read waited for its packet.
            t: Its stream time in seconds.
        """
        self._is_over = self._is_over or read_s >= _WAITED_S or t > _LONGEST_S
        return not self._is_over


def with_waits(reads: Iterator[_T], is_watched: Callable[[], bool], wait_s: float = _HELD_S) -> Iterator[_T | None]:
    """Yield what each read gives, and None while one takes long.

    Args:
        reads: Each step may wait for long. It runs in another thread while watched, but never in two at once.
        is_watched: Whether to look at how long the next one takes.
        wait_s: How long that is, in seconds.
    """
    while True:
        if is_watched():
            answers: queue.SimpleQueue[_T | Exception | None] = queue.SimpleQueue()
            threading.Thread(target=_read, args=(reads, answers), name="read-watched", daemon=True).start()
            try:
                answer = answers.get(timeout=wait_s)
            except queue.Empty:
                yield None
                answer = answers.get()
            if isinstance(answer, Exception):
                raise answer
        else:
            answer = next(reads, None)
        if answer is None:
            return
        yield answer


def _read(reads: Iterator[_T], answers: "queue.SimpleQueue[_T | Exception | None]") -> None:
    try:
        answers.put(next(reads, None))
    except Exception as error:  # raised again where the answer is waited for
        answers.put(error)
