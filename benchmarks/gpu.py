"""What a GPU does with the network: right numbers, time of each stage, engines, streams, decoding. One table.

    benchmarks/gpu.sh                              # all parts, eight minutes at most
    python -m benchmarks.gpu --parts parity stages
    python -m benchmarks.gpu --device cpu --small  # the same control flow on a processor; its figures mean nothing

Each part is a process of its own with a time limit, since an error of a GPU ends the process that meets it; the others
go on. What failed is in the table. Rows come as they are measured, so a part that is stopped leaves those before.
Writes `gpu.json` and `gpu.md`. Exit code 1 means that a part failed.
"""

import argparse
import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.gpu_parts.setting import Row, Setting

BUDGETS_S = {
    "machine": 20,
    "parity": 50,
    "stages": 60,
    "engines": 90,
    "operator": 40,
    "streams": 60,
    "decoding": 50,
    "compile": 90,
}
"""Parts in order, and how long each may take; 460 s in all."""
FAILED = "FAILED"


class Outcome(NamedTuple):
    """What a part gave, and why it failed; the latter is empty if it did not."""

    part: str
    rows: list[Row]
    failure: str


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="a small network and few rounds: does it run at all?")
    parser.add_argument("--parts", nargs="+", choices=list(BUDGETS_S), default=list(BUDGETS_S), help="default: all")
    parser.add_argument("--out", type=Path, default=Path(), help="folder of gpu.json and gpu.md")
    parser.add_argument("--here", action="store_true", help="run the parts in this process, without time limits")
    parser.add_argument("--part", help=argparse.SUPPRESS)  # what the process of one part is started with
    options = parser.parse_args(arguments)
    setting = Setting(options.device, options.small)
    if options.part:
        for row in rows_of(options.part, setting):
            print(json.dumps(row), flush=True)
        return 0
    run = run_here if options.here else run_in_process
    outcomes = []
    for part in options.parts:
        print(f"{part} ...", file=sys.stderr, flush=True)
        outcomes.append(run(part, setting))
    text = table(outcomes)
    print(text)
    (options.out / "gpu.md").write_text(text + "\n")
    (options.out / "gpu.json").write_text(json.dumps([outcome._asdict() for outcome in outcomes], indent=1) + "\n")
    return int(any(outcome.failure for outcome in outcomes))


def rows_of(part: str, setting: Setting) -> Iterator[Row]:
    """Measure a part."""
    rows: Callable[[Setting], Iterator[Row]] = importlib.import_module(f"benchmarks.gpu_parts.{part}").rows
    return rows(setting)


def run_here(part: str, setting: Setting) -> Outcome:
    """Run a part in this process."""
    rows: list[Row] = []
    try:
        rows.extend(rows_of(part, setting))
    except Exception as error:  # whatever ends one part, the others go on, and the table says it
        return Outcome(part, rows, _shortened(f"{type(error).__name__}: {error}"))
    return Outcome(part, rows, "")


def run_in_process(part: str, setting: Setting) -> Outcome:
    """Run a part in a process of its own, as long as it may take."""
    flags = ["--device", setting.device, *(["--small"] if setting.small else []), "--part", part]
    return run_command(part, [sys.executable, "-m", "benchmarks.gpu", *flags], BUDGETS_S[part])


def run_command(part: str, command: Sequence[str], limit_s: float) -> Outcome:
    """Run a program that prints rows.

    Args:
        part: Its name.
        command: Prints a row as JSON on each line.
        limit_s: It is killed after this long; what it printed counts.
    """
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        output, errors = process.communicate(timeout=limit_s)
        failure = "" if process.returncode == 0 else f"exit {process.returncode}"
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # with what it started, such as compilers, which holds its pipes
        output, errors = process.communicate()
        failure = f"not done after {limit_s:g} s"
    rows = [Row(*json.loads(line)) for line in output.splitlines() if line.startswith("[") and line.endswith("]")]
    last = errors.strip().splitlines()[-1] if failure and errors.strip() else ""
    return Outcome(part, rows, _shortened(f"{failure}: {last}" if last else failure))


def table(outcomes: Iterable[Outcome]) -> str:
    """All rows as a table in markdown; a part that failed has one that says so."""
    lines = ["| part | what | figure | unit |", "| --- | --- | --- | --- |"]
    for part, rows, failure in outcomes:
        lines += [f"| {part} | {row.what} | {_figure(row.figure)} | {row.unit} |" for row in rows]
        if failure:
            lines.append(f"| {part} | {FAILED} | {failure.replace('|', '/')} | |")
    return "\n".join(lines)


def _figure(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def _shortened(text: str) -> str:
    return " ".join(text.split())[:300]


if __name__ == "__main__":
    sys.exit(main())
