"""What is fuzzed: everything that reads what others wrote."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks.fuzzing import codec
from benchmarks.fuzzing.gateway import http, sdp
from benchmarks.fuzzing.trying import Attempt, Target

__all__ = ["TARGETS"]


def _plain(attempt: Callable[[int, Path], str], folder: Path) -> Iterator[Attempt]:
    yield lambda seed: attempt(seed, folder)


@contextmanager
def messages(folder: Path) -> Iterator[Attempt]:
    """Messages between nodes, subscribers and clients."""
    yield from _plain(codec.attempt, folder)


TARGETS: Mapping[str, Target] = {"codec": messages, "sdp": sdp, "http": http}
