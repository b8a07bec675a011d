"""A growing CSV file of figures by step."""

import csv
from collections.abc import Mapping
from pathlib import Path

from ssa_stream.checkpoints.files import saving

__all__ = ["CsvTable"]


class CsvTable:
    """Lines of figures. Opening it drops what a resumed run does again, and a line that a kill cut short.

    Args:
        path: The file; made with the first line.
        done: Steps done so far; later lines are dropped.
    """

    def __init__(self, path: Path, done: int) -> None:
        self._path = path
        self._names: list[str] = []
        if path.is_file():
            self._names, rows = self._read()
            self._write([row for row in rows if int(row["step"]) <= done])

    def append(self, step: int, figures: Mapping[str, float]) -> None:
        """Add a line; a new name becomes a new column."""
        row = {"step": str(step), **{name: f"{value:.6g}" for name, value in figures.items()}}
        if new := [name for name in row if name not in self._names]:
            rows = self._read()[1] if self._names else []
            self._names = [*self._names, *new]
            self._write(rows)
        with self._path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self._names).writerow(row)

    def _read(self) -> tuple[list[str], list[dict[str, str]]]:
        with self._path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            whole = [row for row in reader if (row.get("step") or "").isdigit() and None not in row.values()]
            return list(reader.fieldnames or []), whole

    def _write(self, rows: list[dict[str, str]]) -> None:
        with saving(self._path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self._names)
            writer.writeheader()
            writer.writerows(rows)
