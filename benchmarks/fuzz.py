"""Throw broken and hostile input at everything that reads what others wrote, and count what becomes of it.

    python -m benchmarks.fuzz                          # all targets, a minute in all
    python -m benchmarks.fuzz --minutes 60             # an hour
    python -m benchmarks.fuzz --minutes 60 --share 3/7 # the third night of seven that make up an hour
    python -m benchmarks.fuzz sdp --seed 17 --attempts 1   # one attempt again

Targets share the time. Each runs in a process of its own; an attempt is determined by its seed, and shares of one run
have different seeds. An input may be taken or refused with this package's own error. What else comes, takes 30 seconds
or half a gigabyte, or ends the process, is a finding: it is printed with the command that repeats it, and the exit code
is 1.
"""

import argparse
import re
import shlex
import sys

from rich.progress import Progress, TextColumn, TimeElapsedColumn

from benchmarks.fuzzing.targets import TARGETS
from benchmarks.fuzzing.trying import Plan, Tally, try_target

__all__ = ["main"]

_SEEDS_OF_A_SHARE = 1_000_000_000


def main() -> int:
    """Fuzz, and print a table."""
    options = _parser().parse_args()
    names = options.targets or list(TARGETS)
    unknown = [name for name in names if name not in TARGETS]
    if unknown:
        _parser().error(f"there is no target {', '.join(unknown)}; expected some of: {', '.join(TARGETS)}")
    part, parts = options.share
    seconds = options.minutes * 60 / parts / len(names)
    plan = Plan(options.seed + (part - 1) * _SEEDS_OF_A_SHARE, seconds, options.attempts)
    tallies = {}
    with Progress(TextColumn("{task.description}"), TextColumn("{task.fields[said]}"), TimeElapsedColumn()) as progress:
        for name in names:
            task = progress.add_task(name, said="starting", total=None)
            tallies[name] = try_target(
                TARGETS[name],
                plan,
                lambda tally, task=task: progress.update(  # type: ignore[misc]  # mypy infers no lambda with a default
                    task, said=f"{tally.attempts} attempts, {len(tally.findings)} findings"
                ),
            )
            progress.stop_task(task)
    _print(tallies)
    return 1 if any(tally.findings for tally in tallies.values()) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"some of: {', '.join(TARGETS)}; all by default")
    parser.add_argument("--minutes", type=float, default=1.0, help="of all targets and shares together; 1 by default")
    parser.add_argument("--share", type=_share, default=(1, 1), metavar="K/N", help="which part of the whole to run")
    parser.add_argument("--seed", type=int, default=0, help="of the first attempt; 0 by default")
    parser.add_argument("--attempts", type=int, help="of each target at most")
    return parser


def _share(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise argparse.ArgumentTypeError(f"{text!r} is no share; expected K/N with 1 <= K <= N, such as 3/7")
    return int(match[1]), int(match[2])


def _print(tallies: dict[str, Tally]) -> None:
    print(f"{'target':<14}{'attempts':>10}{'findings':>10}{'slowest s':>11}{'peak MiB':>10}  outcomes")
    for name, tally in tallies.items():
        outcomes = ", ".join(f"{outcome} {count}" for outcome, count in sorted(tally.outcomes.items()))
        print(
            f"{name:<14}{tally.attempts:>10}{len(tally.findings):>10}{tally.slowest_s:>11.2f}"
            f"{tally.peak_bytes / 2**20:>10.0f}  {outcomes}"
        )
    for name, tally in tallies.items():
        for finding in tally.findings:
            command = shlex.join(["python", "-m", "benchmarks.fuzz", name, f"--seed={finding.seed}", "--attempts=1"])
            print(f"\n{command}\n{finding.text.rstrip()}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
