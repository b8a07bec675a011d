"""What a run leaves on disk: its state, its checkpoints, its figures."""

import csv
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import msgspec
import torch
import yaml
from msgspec import Meta
from torch.utils.tensorboard import SummaryWriter

from ssa_stream.checkpoints.files import saving
from ssa_stream.errors import CheckpointError, ConfigError, SinkError
from ssa_stream.training.loop.run_paths import RunPaths
from ssa_stream.training.recipe import TrainConfig

__all__ = ["CsvTable", "RunFolder", "RunLog"]

_MAY_CHANGE = ("save_every", "log_every", "workers", "name")
"""Settings that a resumed run may have changed: what it computes does not depend on them."""


class _State(msgspec.Struct):
    """What a state holds, as far as it is known before the run is built."""

    config: dict[str, Any]
    stage: Annotated[int, Meta(ge=0, le=1000)]
    step: Annotated[int, Meta(ge=0, le=10**9)]
    best: float
    model: dict[str, torch.Tensor]
    optimizer: dict[str, Any] | None
    extra: dict[str, Any] | None
    ema: dict[str, Any]
    precision: dict[str, Any]


class RunFolder(RunPaths):
    """Paths and state of one run; the folder is made when needed."""

    def start(self, config: TrainConfig) -> None:
        """Make the folder and write the configuration into it."""
        self.path.mkdir(parents=True, exist_ok=True)
        with saving(self.config) as partial:
            partial.write_text(yaml.safe_dump(config.to_mapping(), sort_keys=False), encoding="utf-8")

    def save_state(self, config: TrainConfig, state: Mapping[str, Any]) -> None:
        """Write all that is needed to go on; the file appears whole or not at all.

        Raises:
            CheckpointError: It cannot be written; the last state that was saved stays.
        """
        with saving(self.state) as partial:
            try:
                torch.save({"config": config.to_mapping(), **state}, partial)
            except RuntimeError as error:  # what torch makes of a full disk
                raise CheckpointError(
                    f"cannot write {self.state}; make room, and go on from the last state by --resume: {error}"
                ) from error

    def load_state(self, config: TrainConfig) -> dict[str, Any]:
        """Read what `save_state` wrote, to the CPU.

        Raises:
            CheckpointError: The file is damaged, or holds something else.
            ConfigError: The run was of another configuration.
        """
        try:
            state: dict[str, Any] = torch.load(self.state, map_location="cpu", weights_only=True)
        except Exception as error:  # whatever zip and pickle raise
            raise CheckpointError(f"{self.state} is not a whole training state ({error})") from error
        try:
            msgspec.convert(state, _State)
        except (msgspec.ValidationError, RecursionError) as error:
            raise CheckpointError(f"{self.state} is not a training state ({error}); begin another run") from error
        earlier, now = (_decisive(mapping) for mapping in (state.pop("config"), config.to_mapping()))
        if changed := [key for key in now if earlier.get(key) != now[key]]:
            raise ConfigError(
                f"the run in {self.path} was started with other settings of {', '.join(changed)}; resume it with its "
                f"own {self.path / 'config.yaml'}, or start another run from its weights: --init {self.last}"
            )
        return state


def _decisive(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that decide what is computed, in the form that YAML and torch.save leave them in."""
    return {key: _plain(value) for key, value in mapping.items() if key not in _MAY_CHANGE}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value


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
            whole = [row for row in reader if _is_number(row.get("step") or "") and None not in row.values()]
            return list(reader.fieldnames or []), whole

    def _write(self, rows: list[dict[str, str]]) -> None:
        with saving(self._path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self._names)
            writer.writeheader()
            writer.writerows(rows)


class RunLog:
    """Figures as CSV and for TensorBoard. A resumed run first drops lines of steps that it does again.

    Args:
        folder: The run's folder.
        done: Steps done so far, over all stages.
    """

    def __init__(self, folder: Path, done: int) -> None:
        self._folder, self._done = folder, done
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=done + 1)
        self._tables: dict[str, CsvTable] = {}

    def write(self, table: str, stage: str, step: int, figures: Mapping[str, float]) -> None:
        """Add one line.

        Args:
            table: `train` or `validation`; lines go to `<table>_<stage>.csv`.
            stage: Name of the stage.
            step: Steps done, over all stages.
            figures: By name.
        Raises:
            SinkError: They cannot be written; the last state that was saved stays.
        """
        name = f"{table}_{stage}"
        try:
            if name not in self._tables:
                self._tables[name] = CsvTable(self._folder / f"{name}.csv", self._done)
            self._tables[name].append(step, figures)
            for figure, value in figures.items():
                self._board.add_scalar(f"{table}/{figure.replace('&', 'and')}", value, step)
            self._board.flush()
        except OSError as error:
            raise SinkError(
                f"cannot write figures into {self._folder} ({error.strerror or error}); make room, and go on from the "
                f"last state by --resume"
            ) from error

    def close(self) -> None:
        """Finish the TensorBoard file."""
        with suppress(OSError):  # a full disk was told before; this would hide it
            self._board.close()


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 16
