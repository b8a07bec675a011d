"""Attempts of one target in a process of its own, so that one that hangs, crashes or takes all memory is a finding."""

import multiprocessing
import resource
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

__all__ = ["Attempt", "Finding", "Plan", "Tally", "Target", "try_target"]

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
        seconds: How long.
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


def try_target(target: Target, plan: Plan, on_attempt: Callable[[Tally], None] = lambda tally: None) -> Tally:
    """Try until the time is over, or too much went wrong. A process that died is replaced.

    Args:
        target: A function of a module, so that another process can find it.
        plan: What to try.
        on_attempt: Called after each attempt.
    """
    tally = Tally()
    deadline_s = time.monotonic() + plan.seconds
    seed, last = plan.first_seed, None if plan.attempts is None else plan.first_seed + plan.attempts
    while time.monotonic() < deadline_s and seed != last and len(tally.findings) < MAX_FINDINGS:
        seed = _try_in_process(target, seed, last, deadline_s, tally, on_attempt)
    return tally


def _try_in_process(
    target: Target,
    seed: int,
    last: int | None,
    deadline_s: float,
    tally: Tally,
    on_attempt: Callable[[Tally], None],
) -> int:
    """One process, until it has to be given up; returns the next seed."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(target, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(START_S) or (said := _receive(ours)) != "ready":
            raise SystemExit(f"the target could not be prepared: {said if ours.poll(0) else 'see above'}")
        while time.monotonic() < deadline_s and seed != last and len(tally.findings) < MAX_FINDINGS:
            began_s = time.monotonic()
            ours.send(seed)
            answer = _receive(ours) if ours.poll(ATTEMPT_S) else f"not over after {ATTEMPT_S:g} s"
            seed += 1
            if not isinstance(answer, tuple):
                process.kill()
                process.join()
                text = answer if isinstance(answer, str) else f"the process ended with {process.exitcode}"
                tally.findings.append(Finding(seed - 1, text))
                on_attempt(tally)
                return seed
            outcome, problem, peak_bytes = answer
            tally.slowest_s = max(tally.slowest_s, time.monotonic() - began_s)
            tally.peak_bytes = max(tally.peak_bytes, peak_bytes)
            if problem:
                tally.findings.append(Finding(seed - 1, problem))
            else:
                tally.outcomes[outcome] += 1
            on_attempt(tally)
    finally:
        ours.close()
        process.join(START_S)
        process.kill()
    return seed


def _receive(connection: Connection) -> object:
    try:
        return connection.recv()
    except EOFError:
        return None


def _peak_bytes() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _serve(target: Target, connection: Connection) -> None:
    """In the process: try what is asked for until the other side hangs up."""
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
