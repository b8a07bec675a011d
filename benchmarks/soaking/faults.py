"""What goes wrong in a soak, and when: a plan that a seed determines."""

import itertools
import random
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["CAMERA", "KINDS", "RTSP", "WATCHER", "Fault", "plan_faults"]

RTSP, CAMERA, WATCHER = "rtsp", "camera", "watcher"

KINDS: dict[str, dict[str, tuple[float, float]]] = {
    RTSP: {"killed": (1.0, 4.0), "frozen": (2.5, 4.0), "frozen for long": (7.0, 10.0)},
    CAMERA: {"vanished": (0.5, 3.0), "left": (0.5, 3.0)},
    WATCHER: {"vanished": (0.5, 3.0), "left": (0.5, 3.0)},
}
"""Seconds that each kind of fault lasts, at least and at most. A frozen server is silent, its connections stay: shorter
than the limit at which a source is connected anew, or longer."""
_FIRST_S, _PAUSE_S = (5.0, 12.0), (18.0, 35.0)
_QUIET_S = 10.0
"""Before the end: what was lost last is to come back before."""


class Fault(NamedTuple):
    """Something that goes wrong.

    Attributes:
        at_s: When, from the beginning.
        lasts_s: How long.
        target: With whom.
        kind: What.
    """

    at_s: float
    lasts_s: float
    target: str
    kind: str

    @property
    def ends_s(self) -> float:
        """When it is over."""
        return self.at_s + self.lasts_s


def plan_faults(seconds: float, seed: int) -> list[Fault]:
    """Faults in the order of their time: all kinds in turn, shuffled, with pauses for the target to come back."""
    faults = [fault for target in KINDS for fault in _of(target, seconds - _QUIET_S, random.Random(f"{seed} {target}"))]
    return sorted(faults)


def _of(target: str, until_s: float, random_: random.Random) -> Iterator[Fault]:
    at_s = random_.uniform(*_FIRST_S)
    for _ in itertools.count():
        for kind in random_.sample(sorted(KINDS[target]), len(KINDS[target])):
            fault = Fault(at_s, random_.uniform(*KINDS[target][kind]), target, kind)
            if fault.ends_s > until_s:
                return
            yield fault
            at_s = fault.ends_s + random_.uniform(*_PAUSE_S)
