"""Targets for the fuzzer that go wrong in known ways; another process imports them."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.fuzzing.trying import Attempt

__all__ = ["faulty"]

SLEEP_S = 60.0


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
