"""Throw broken and hostile input at everything that reads what others wrote, and count what becomes of it.

    python -m benchmarks.fuzz                          # all targets, a minute in all
    python -m benchmarks.fuzz --minutes 60             # an hour
    python -m benchmarks.fuzz --minutes 60 --share 3/7 # the third night of seven that make up an hour
    python -m benchmarks.fuzz sdp --seed 17 --attempts 1   # one attempt again

Targets share the time. Each runs in a process of its own; an attempt is determined by its seed, and shares of one run
have different seeds. An input may be taken or refused with this package's own error. What else comes, takes 30 seconds
or half a gigabyte, or ends the process, is a finding: it is printed with the command that repeats it, and the exit code
is 1. So it is if a target was not tried at all. The time of a target begins when its process is ready. Ctrl-C and
SIGTERM end the whole: what was found so far is told, and without findings the exit code is 130 or 143.
"""

import argparse
import math
import re
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from benchmarks.fuzzing.targets import TARGETS
from benchmarks.fuzzing.trying import Plan, Tally, TargetError, try_target

__all__ = ["main"]

_SEEDS_OF_A_SHARE = 1_000_000_000


class _Ended(BaseException):
    """A signal came; its argument is the number. No attempt is to take it for an error."""


def main() -> int:
    """Fuzz, and print a line for each target as soon as it is finished."""
    options = _parser().parse_args()
    names = list(dict.fromkeys(options.targets or TARGETS))
    unknown = [name for name in names if name not in TARGETS]
    if unknown:
        _parser().error(f"there is no target {', '.join(unknown)}; expected some of: {', '.join(TARGETS)}")
    part, parts = options.share
    seconds = options.minutes * 60 / parts / len(names)
    plan = Plan(options.seed + (part - 1) * _SEEDS_OF_A_SHARE, seconds, options.attempts)
    print(f"{'target':<14}{'attempts':>10}{'findings':>10}{'slowest s':>11}{'peak MiB':>10}  outcomes", flush=True)
    failed: list[str] = []
    waiting = list(names)
    try:
        with _ending_at_signals(), _progress() as progress:
            while waiting:
                if not _tried(waiting[0], plan, progress):
                    failed.append(waiting[0])
                del waiting[0]
    except _Ended as ended:
        number = int(ended.args[0])
        print(f"ended by {signal.Signals(number).name}; not tried to the end: {', '.join(waiting)}", file=sys.stderr)
        return 1 if failed or ended.args[1] else 128 + number
    return 1 if failed else 0


def _tried(name: str, plan: Plan, progress: Progress) -> bool:
    """Try a target and print what became of it, also if a signal ends it; whether it is in order."""
    task, tally = progress.add_task(name, said="starting", total=None), Tally()

    def on_attempt(now: Tally) -> None:
        nonlocal tally
        tally = now
        progress.update(task, said=f"{tally.attempts} attempts, {len(tally.findings)} findings")

    try:
        try_target(TARGETS[name], plan, on_attempt)
    except TargetError as error:
        _print(name, tally)
        print(f"{name}: {error}", file=sys.stderr)
        return False
    except _Ended as ended:
        _print(name, tally)
        raise _Ended(ended.args[0], bool(tally.findings)) from None
    finally:
        progress.stop_task(task)
    _print(name, tally)
    if not tally.attempts:
        print(f"{name}: nothing was tried", file=sys.stderr)
    return bool(tally.attempts) and not tally.findings


@contextmanager
def _ending_at_signals() -> Iterator[None]:
    """Raise `_Ended` at the first SIGINT or SIGTERM; others are ignored while the process of a target is ended."""

    def end(number: int, frame: object) -> None:
        for other in former:
            signal.signal(other, signal.SIG_IGN)
        raise _Ended(number, False)

    former = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in former:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _progress() -> Progress:
    columns = TextColumn("{task.description}"), TextColumn("{task.fields[said]}"), TimeElapsedColumn()
    return Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=sys.stdout.isatty())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"some of: {', '.join(TARGETS)}; all by default")
    parser.add_argument("--minutes", type=_minutes, default=1.0, help="of all targets and shares; 1 by default")
    parser.add_argument("--share", type=_share, default=(1, 1), metavar="K/N", help="which part of the whole to run")
    parser.add_argument("--seed", type=int, default=0, help="of the first attempt; 0 by default")
    parser.add_argument("--attempts", type=_attempts, help="of each target at most")
    return parser


def _share(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise argparse.ArgumentTypeError(f"{text!r} is no share; expected K/N with 1 <= K <= N, such as 3/7")
    return int(match[1]), int(match[2])


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = math.nan
    if not (minutes > 0 and math.isfinite(minutes)):
        raise argparse.ArgumentTypeError(f"{text!r} is no time; expected a number of minutes above 0, such as 0.5")
    return minutes


def _attempts(text: str) -> int:
    if re.fullmatch(r"0*[1-9]\d{0,8}", text) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of attempts; expected a whole number of 1 or more")
    return int(text)


def _print(name: str, tally: Tally) -> None:
    outcomes = ", ".join(f"{outcome} {count}" for outcome, count in sorted(tally.outcomes.items()))
    print(
        f"{name:<14}{tally.attempts:>10}{len(tally.findings):>10}{tally.slowest_s:>11.2f}"
        f"{tally.peak_bytes / 2**20:>10.0f}  {outcomes}",
        flush=True,
    )
    for finding in tally.findings:
        command = shlex.join(["python", "-m", "benchmarks.fuzz", name, f"--seed={finding.seed}", "--attempts=1"])
        print(f"\n{command}\n{finding.text.rstrip()}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
