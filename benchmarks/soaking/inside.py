"""What the processes of a soaked graph hold inside: asks the probe that they have loaded."""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Inside", "Probes", "growth"]

_PROBE = Path(__file__).with_name("probe")
_ANSWER_S, _POLL_S = 20.0, 0.1
_MIB = 2**20


class Inside(NamedTuple):
    """What one process holds.

    Attributes:
        types: Objects that the garbage collector knows, by their type; garbage that it has not found yet counts.
        collections: How often it looked through all of them.
        allocator_mib: What glibc's allocator has from the kernel for small blocks.
        free_mib: How much of that is free.
        mapped_mib: What it has from the kernel for large blocks, each mapped alone.
        arenas: How many it has: about one for each thread that there is at the same time.
        places: Bytes allocated in Python, by place; empty unless they were asked for.
    """

    types: dict[str, int]
    collections: int
    allocator_mib: float
    free_mib: float
    mapped_mib: float
    arenas: int
    places: dict[str, int]


class Probes:
    """The probes of the processes of a graph.

    Args:
        folder: Where they are asked and answer.
        traced: Whether they also note where memory is allocated in Python, which costs a third of the speed.
    """

    def __init__(self, folder: Path, *, traced: bool = False) -> None:
        self._folder, self._traced, self._number = folder, traced, 0
        folder.mkdir(exist_ok=True)

    def environment(self) -> dict[str, str]:
        """For the graph's processes."""
        path = os.pathsep.join(filter(None, (str(_PROBE), os.environ.get("PYTHONPATH"))))
        return {**os.environ, "PYTHONPATH": path, "SOAK_PROBE": str(self._folder)} | (
            {"SOAK_TRACE": "1"} if self._traced else {}
        )

    def ask(self, processes: Mapping[int, str]) -> dict[str, Inside]:
        """What each process holds now; one that does not answer in time is left out.

        Args:
            processes: Names by process id.
        """
        self._number += 1
        (self._folder / f"{self._number}.ask").touch()
        deadline_s = time.monotonic() + _ANSWER_S
        found: dict[str, Inside] = {}
        waiting = dict(processes)
        while waiting and time.monotonic() < deadline_s:
            for pid in [pid for pid in waiting if self._answer(pid).exists()]:
                found[waiting.pop(pid)] = _inside(json.loads(self._answer(pid).read_text(encoding="utf-8")))
            time.sleep(_POLL_S)
        return found

    def _answer(self, pid: int) -> Path:
        return self._folder / f"{self._number}-{pid}.json"


def growth(before: Mapping[str, int], after: Mapping[str, int], *, least: int, most: int = 8) -> dict[str, int]:
    """What has grown by at least so much, largest first, and no more than so many."""
    grown = {name: count - before.get(name, 0) for name, count in after.items()}
    return dict(sorted(((name, by) for name, by in grown.items() if by >= least), key=lambda one: -one[1])[:most])


def _inside(plain: Mapping[str, Any]) -> Inside:
    return Inside(
        types=plain["types"],
        collections=plain["collections"],
        allocator_mib=plain["allocator_bytes"] / _MIB,
        free_mib=plain["free_bytes"] / _MIB,
        mapped_mib=plain["mapped_bytes"] / _MIB,
        arenas=plain["arenas"],
        places=plain["places"],
    )
