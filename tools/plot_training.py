"""Draw the curves of a training run: loss of every stage, validation J&F by type of sentence.

python tools/plot_training.py runs/tiny -o curves.png
"""

import argparse
import csv
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot

TYPES = ("J&F", "appearance", "motion", "appearance_motion", "relation", "several", "no_target")


def main() -> None:
    """Read the options, write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of the run")
    parser.add_argument("-o", "--out", type=Path, required=True, help=".png or .svg")
    options = parser.parse_args()
    losses, scores = columns(options.run, "train", ["loss"]), columns(options.run, "validation", list(TYPES))
    if not losses:
        raise SystemExit(f"error: {options.run} holds no train_*.csv; expected the folder of a run")
    mpl.use("agg")
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for stage, table in losses.items():
        left.plot(*table["loss"], label=stage, linewidth=0.8)
    left.set(xlabel="step", ylabel="loss", yscale="log")
    for name in TYPES:
        points = sorted(point for table in scores.values() for point in zip(*table.get(name, ((), ())), strict=True))
        if points:
            right.plot(*zip(*points, strict=True), label=name, marker=".", linewidth=2.5 if name == "J&F" else 1.0)
    right.set(xlabel="step", ylabel="J&F on validation clips", ylim=(0, 1))
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
    figure.savefig(options.out, dpi=100)
    print(f"wrote {options.out}")


def columns(run: Path, table: str, names: list[str]) -> dict[str, dict[str, tuple[list[float], list[float]]]]:
    """Steps and values of the named columns, by stage in order of training."""
    found: dict[str, dict[str, tuple[list[float], list[float]]]] = {}
    for path in run.glob(f"{table}_*.csv"):
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        stage = path.stem.removeprefix(f"{table}_")
        found[stage] = {
            name: ([float(row["step"]) for row in rows], [float(row[name]) for row in rows])
            for name in names
            if rows and name in rows[0]
        }
    return dict(sorted(((stage, table) for stage, table in found.items() if table), key=_first_step))


def _first_step(item: tuple[str, dict[str, tuple[list[float], list[float]]]]) -> float:
    return next(iter(item[1].values()))[0][0]


if __name__ == "__main__":
    main()
