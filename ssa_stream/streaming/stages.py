"""How long the stages of a step take."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["StageTimes"]


class StageTimes:
    """Adds up the time of each stage. On a GPU, whose work goes on by itself, waiting for it counts where it is done.

    Attributes:
        seconds: By stage, with the names of the nodes' roles: `encoder`, `queries`, `decoder`, `masks`.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def during(self, stage: str) -> Iterator[None]:
        """The body is work of a stage."""
        begin_ns = time.perf_counter_ns()
        try:
            yield
        finally:
            self.seconds[stage] += (time.perf_counter_ns() - begin_ns) / 1e9
