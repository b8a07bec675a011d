"""Whether frames cost less as one batch than one by one, from what live frames take."""

import itertools
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

import structlog

if TYPE_CHECKING:
    import torch

__all__ = ["BatchCosts", "device_clock_s"]

T = TypeVar("T")
Key = tuple[Hashable, int, int]
"""Kind of messages, how many of them, and their rows together."""

_LOG = structlog.get_logger()
_SAMPLES = 3
"""Of each way, beside the first batch of a size, which warms up. The least counts: other load only adds."""
_KEPT = 2 * _SAMPLES
"""Newest samples of a frame alone."""
_PAYS_BELOW = 0.95
"""Of the time one by one: a batch lets the first of its frames wait for all."""
_SMALLER_BELOW = 0.9
"""Of what a larger batch costs: it also makes those of later stages larger."""
_LONGEST_S = 0.25
"""A batch that would take longer one by one is not tried: later stages of all streams would wait for it."""
_MOST_KEYS = 256


class BatchCosts:
    """Measures both ways in turns with the frames that come, and then says how many go together.

    No frame is computed twice for it, so what it costs is a few batches that turn out slower than one by one. What was
    decided for a size holds until the node ends.

    Args:
        node: Name of the node, for its log.
        max_rows: Most rows of a batch.
        clock_s: Tells the time in the thread where the work is done; on an accelerator, when the work before is done.
    """

    def __init__(self, node: str, max_rows: int, clock_s: Callable[[], float]) -> None:
        self._node, self._max_rows, self._clock_s = node, max_rows, clock_s
        self._alone: dict[tuple[Hashable, int], deque[float]] = {}
        self._together: dict[Key, list[float]] = {}
        self._pays: dict[Key, bool] = {}
        self._share: dict[Key, float] = {}
        self._tries_together = True

    def choose(self, kind: Hashable, rows: Sequence[int]) -> int:
        """How many of the messages that wait are the next batch; 1 takes the first alone.

        All of them, half of them, a quarter and so on: the number that gains most; of numbers that gain about
        the same the largest. What a large batch needs may not stay in the processor's cache.

        Args:
            kind: Of all of them.
            rows: Of each, in order.
        """
        best, best_share = 1, 1.0
        for number in _halves(self._most(rows)):
            key = (kind, number, sum(rows[:number]))
            if key not in self._pays:
                alone_s = self._one_by_one_s(kind, rows[:number])
                if alone_s is None or len(self._pays) >= _MOST_KEYS:
                    return best
                if alone_s <= _LONGEST_S:
                    self._tries_together = not self._tries_together
                    return 1 if self._tries_together else number
                self._decide(key, False, alone_s, None)
            if self._pays[key] and self._share[key] < (best_share if best == 1 else _SMALLER_BELOW * best_share):
                best, best_share = number, self._share[key]
        return best

    def may_pay(self, kind: Hashable) -> bool:
        """Whether it makes sense to wait for a second message."""
        pairs = [pays for (of_kind, number, _), pays in self._pays.items() if of_kind == kind and number == 2]
        return not pairs or any(pairs)

    def measured(self, kind: Hashable, rows: Sequence[int], work: Callable[[], T]) -> T:
        """Do the work of a batch, and remember what it took. In the thread of the work; see `choose`.

        Raises:
            Exception: What the work raises; then it counts for nothing.
        """
        key = (kind, len(rows), sum(rows))
        known = self._alone.get((kind, rows[0]), ()) if len(rows) == 1 else ()
        if key in self._pays or (len(known) == _KEPT and not self._together):
            return work()
        begin_s = self._clock_s()
        made = work()
        taken_s = self._clock_s() - begin_s
        if len(rows) == 1:
            if (kind, rows[0]) in self._alone or len(self._alone) < _MOST_KEYS:
                self._alone.setdefault((kind, rows[0]), deque(maxlen=_KEPT)).append(taken_s)
        else:
            self._take_sample(key, rows, taken_s)
        return made

    def refuse(self, kind: Hashable, rows: Sequence[int]) -> None:
        """Never again: the batch failed where its messages did not."""
        key = (kind, len(rows), sum(rows))
        if key not in self._pays or self._pays[key]:
            self._pays[key] = False
            _LOG.warning(
                "frames of several streams failed as one batch, and go one by one", node=self._node, frames=len(rows)
            )

    def _most(self, rows: Sequence[int]) -> int:
        """How many of the messages a batch can hold."""
        return sum(total <= self._max_rows for total in itertools.accumulate(rows))

    def _take_sample(self, key: Key, rows: Sequence[int], taken_s: float) -> None:
        samples, alone_s = self._together.setdefault(key, []), self._one_by_one_s(key[0], rows)
        samples.append(taken_s)
        if len(samples) > _SAMPLES and alone_s is not None:
            together_s = min(samples[1:])
            self._decide(key, together_s <= _PAYS_BELOW * alone_s, alone_s, together_s)

    def _one_by_one_s(self, kind: Hashable, rows: Sequence[int]) -> float | None:
        """Least time that messages take one after the other; None while that is not known of all."""
        samples = [self._alone.get((kind, one), ()) for one in rows]
        return sum(map(min, samples)) if all(len(one) >= _SAMPLES for one in samples) else None

    def _decide(self, key: Key, pays: bool, alone_s: float, together_s: float | None) -> None:
        self._pays[key] = pays
        self._share[key] = 1.0 if together_s is None else together_s / alone_s
        self._together.pop(key, None)
        _LOG.info(
            "frames of several streams that wait go as one batch"
            if pays
            else "frames of several streams go one by one",
            node=self._node,
            frames=key[1],
            rows=key[2],
            one_by_one_ms=round(alone_s * 1e3, 1),
            together_ms="not tried" if together_s is None else round(together_s * 1e3, 1),
        )


def _halves(number: int) -> Iterator[int]:
    """The number, half of it (rounded up), a quarter and so on, down to 2."""
    while number > 1:
        yield number
        number = -(-number // 2) if number > 2 else 1


def device_clock_s(device: "torch.device") -> Callable[[], float]:
    """A clock in seconds, for work in the thread that looks at it.

    On a processor it is the thread's time, of which other load takes none. On an accelerator each look waits until the
    work before is done.
    """
    if device.type != "cuda":
        return time.thread_time

    def wait_and_look() -> float:
        import torch

        torch.cuda.synchronize(device)
        return time.perf_counter()

    return wait_and_look
