"""Attempts of one target in a process of its own, so that one that hangs, crashes or takes all memory is a finding."""

import multiprocessing
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

__all__ = ["Attempt", "Finding", "Plan", "Tally", "Target", "TargetError", "try_target"]

Attempt = Callable[[int], str]
"""Makes one hostile input from a seed and tries it; returns what became of it, raises whatever should not have come."""
Target = Callable[[Path], AbstractContextManager[Attempt]]
"""Prepares attempts, which may write into a folder."""

ATTEMPT_S = 30.0
START_S = 120.0
GROWTH_BYTES = 512 * 2**20
MAX_FINDINGS = 20


@dataclass(frozen=True, slots=True)
class Plan:
    """What to try of a target.

    Attributes:
        first_seed: Of the first attempt; the next one has the next number.
        seconds: How long, without the time that processes need to start; one attempt is always made.
        attempts: How many at most; None: no limit but the time.
    """

    first_seed: int
    seconds: float
    attempts: int | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """An attempt that went wrong.

    Attributes:
        seed: Repeats it.
        text: How.
    """

    seed: int
    text: str


@dataclass(slots=True)
class Tally:
    """What became of the attempts of a target.

    Attributes:
        outcomes: How many, by outcome.
        findings: Those that went wrong.
        slowest_s: The longest one.
        peak_bytes: Most memory of the process.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    slowest_s: float = 0.0
    peak_bytes: int = 0

    @property
    def attempts(self) -> int:
        """How many there were."""
        return self.outcomes.total() + len(self.findings)


class TargetError(Exception):
    """A target that could not be prepared."""


def try_target(target: Target, plan: Plan, on_attempt: Callable[[Tally], None] = lambda tally: None) -> Tally:
    """Try until the time is over, or too much went wrong. A process that died is replaced.

    Args:
        target: A function of a module, so that another process can find it.
        plan: What to try.
        on_attempt: Called after each attempt.
    Raises:
        TargetError: No attempt could be made, or no further one.
    """
    course = _Course(plan, on_attempt)
    while not course.is_over(0.0):
        _try_in_process(target, course)
    return course.tally


class _Course:
    """How far a target has come.

    Attributes:
        tally: What became of the attempts.
        seed: Of the next one.
    """

    def __init__(self, plan: Plan, on_attempt: Callable[[Tally], None]) -> None:
        self.tally = Tally()
        self.seed = plan.first_seed
        self._plan = plan
        self._left_s = plan.seconds
        self._on_attempt = on_attempt

    def is_over(self, spent_s: float) -> bool:
        """Whether to stop, after so much time in the present process."""
        tally, most = self.tally, self._plan.attempts
        if not tally.attempts:
            return False
        return spent_s >= self._left_s or tally.attempts == most or len(tally.findings) >= MAX_FINDINGS

    def spend(self, spent_s: float) -> None:
        """A process was given up, which was in use for so long."""
        self._left_s -= spent_s

    def count(self, outcome: str, problem: str) -> None:
        """What became of an attempt."""
        if problem:
            self.tally.findings.append(Finding(self.seed, problem))
        else:
            self.tally.outcomes[outcome] += 1
        self.seed += 1
        self._on_attempt(self.tally)


def _try_in_process(target: Target, course: _Course) -> None:
    """One process, until it has to be given up."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(target, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(START_S):
            raise TargetError(f"the target could not be prepared within {START_S:g} s")
        if _receive(ours) != "ready":
            raise TargetError("the target could not be prepared: see above")
        ready_s = time.monotonic()
        while not course.is_over(time.monotonic() - ready_s):
            began_s = time.monotonic()
            ours.send(course.seed)
            answer = _receive(ours) if ours.poll(ATTEMPT_S) else f"not over after {ATTEMPT_S:g} s"
            if not isinstance(answer, tuple):
                course.spend(time.monotonic() - ready_s)
                process.kill()
                process.join()
                course.count("", answer if isinstance(answer, str) else f"the process ended with {process.exitcode}")
                return
            outcome, problem, peak_bytes = answer
            course.tally.slowest_s = max(course.tally.slowest_s, time.monotonic() - began_s)
            course.tally.peak_bytes = max(course.tally.peak_bytes, peak_bytes)
            course.count(outcome, problem)
        course.spend(time.monotonic() - ready_s)
    except BaseException:  # interrupted, mostly: nothing is waited for
        process.kill()
        raise
    finally:
        ours.close()
        process.join(START_S)
        process.kill()


def _receive(connection: Connection) -> object:
    try:
        return connection.recv()
    except (EOFError, ConnectionResetError):
        return None


def _peak_bytes() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _serve(target: Target, connection: Connection) -> None:
    """In the process: try what is asked for until the other side hangs up. Ctrl-C is for that one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with tempfile.TemporaryDirectory() as folder, target(Path(folder)) as attempt:
        connection.send("ready")
        while isinstance(seed := _receive(connection), int):
            before, outcome, problem = _peak_bytes(), "", ""
            try:
                outcome = attempt(seed)
            except BaseException:  # whatever comes is the finding, the end of the program included
                problem = traceback.format_exc()
            grown = _peak_bytes() - before
            if not problem and grown > GROWTH_BYTES:
                problem = f"took {grown / 2**20:.0f} MiB of memory"
            connection.send((outcome, problem, _peak_bytes()))
