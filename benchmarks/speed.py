"""What makes ssa_stream faster, and by how much: every table of it for docs/performance.md, by one command.

    python -m benchmarks.speed                              # all parts, one after the other; half an hour
    python -m benchmarks.speed --parts run engines --cpu-time
    python -m benchmarks.speed --quick                      # few rounds and ssa-tiny only: whether all of it works

Each part is a command of its own (`python -m benchmarks.PART --help`) and a process of its own, so that none has what
another left in memory. Inside a part all ways go in turns. A part that fails is named at the end, and the others go on.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from typing import NamedTuple


class Part(NamedTuple):
    """A command.

    Attributes:
        module: Below `benchmarks`.
        shows: What its tables compare.
        full: Its arguments.
        quick: Its arguments with `--quick`.
        takes_cpu_time: Whether it has `--cpu-time`.
    """

    module: str
    shows: str
    full: tuple[str, ...] = ()
    quick: tuple[str, ...] = ()
    takes_cpu_time: bool = True


PARTS = {
    "operator": Part(
        "operator_speed",
        "deformable attention, for tiny and large",
        ("--threads", "1"),
        ("--threads", "1", "--models", "ssa-tiny", "--rounds", "2"),
    ),
    "types": Part(
        "precision",
        "types, precisions and folds, for tiny and large",
        ("--threads", "1"),
        ("--threads", "1", "--models", "ssa-tiny", "--rounds", "1"),
    ),
    "engines": Part(
        "engine_speed", "engines, with 1, 2 and 4 prompts", ("--prompts", "1", "2", "4"), ("--rounds", "2")
    ),
    "streams": Part(
        "streams", "1, 2, 4 and 8 streams", (), ("--counts", "2", "--rounds", "1", "--frames", "2", "--warm-up", "2")
    ),
    "run": Part("run_speed", "`ssa-stream run` end to end", (), ("--frames", "12", "--rounds", "1")),
    "memory": Part("memory", "memory of a graph", (), ("--models", "ssa-tiny", "--frames", "2"), takes_cpu_time=False),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts; the exit status is the number of those that failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=list(PARTS), help="default: all")
    parser.add_argument("--cpu-time", action="store_true", help="processor time: for a machine that others use, too")
    parser.add_argument("--quick", action="store_true", help="few rounds: the figures are worth nothing")
    options = parser.parse_args(arguments)
    failed = []
    for name in options.parts:
        part = PARTS[name]
        given = [*(part.quick if options.quick else part.full)]
        given += ["--cpu-time"] if options.cpu_time and part.takes_cpu_time else []
        print(f"## {name}: {part.shows}\n\n`python -m benchmarks.{' '.join([part.module, *given])}`\n", flush=True)
        done = subprocess.run([sys.executable, "-m", f"benchmarks.{part.module}", *given], check=False)
        if done.returncode:
            failed.append(name)
            print(f"{name} failed with exit status {done.returncode}", flush=True)
        print(flush=True)
    if failed:
        print(f"{len(failed)} of {len(options.parts)} parts failed: {', '.join(failed)}", file=sys.stderr)
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
