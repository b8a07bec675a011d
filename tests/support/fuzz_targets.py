"""Targets for the fuzzer that go wrong in known ways; another process imports them."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.fuzzing.trying import Attempt

__all__ = ["MARK", "faulty", "marking", "slow_to_start", "without_start"]

SLEEP_S = 60.0
MARK = "SSA_TEST_FUZZ_MARK"
"""Variable with the file by which `marking` tells that it is under way."""
_MARKED_SEED = 5


@contextmanager
def faulty(folder: Path) -> Iterator[Attempt]:
    """Seed 1 raises, 2 ends the process, 3 hangs, 4 writes into the folder; all others are refused."""

    def attempt(seed: int) -> str:
        match seed:
            case 1:
                raise ValueError("an error that should not have come")
            case 2:
                os._exit(7)
            case 3:
                time.sleep(SLEEP_S)
            case 4:
                (folder / "input").write_bytes(b"")
                return "taken"
        return "refused"

    yield attempt


@contextmanager
def slow_to_start(folder: Path) -> Iterator[Attempt]:
    """Needs a second until it is ready; all is refused."""
    time.sleep(1.0)
    yield lambda seed: "refused"


@contextmanager
def without_start(folder: Path) -> Iterator[Attempt]:
    """Ends before it is ready."""
    os._exit(7)
    yield lambda seed: "refused"


@contextmanager
def marking(folder: Path) -> Iterator[Attempt]:
    """Seed 1 raises; from 5 on a file tells that those before have been answered."""

    def attempt(seed: int) -> str:
        if seed == 1:
            raise ValueError("an error that should not have come")
        if seed >= _MARKED_SEED:
            Path(os.environ[MARK]).touch()
            time.sleep(0.01)
        return "refused"

    yield attempt
