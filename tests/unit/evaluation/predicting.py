"""Predictions of the tests' small network in this process, whole or in parts."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ssa_stream.data import KINDS, DataPlace, ReferringData, open_data
from ssa_stream.evaluation.predict.folder import PredictionFolder
from ssa_stream.evaluation.predict.running import Outcome, Prediction
from ssa_stream.evaluation.predict.settings import PredictSettings
from ssa_stream.evaluation.predict.units import Shard, plan_units
from ssa_stream.input_warnings import InputWarning
from tests.support.tiny_model import tiny_model

__all__ = ["EDGES_PX", "Run", "opened", "tree"]

EDGES_PX = 40, 96
_NAMES = {"mevis-v2": "mevis", "ref-davis17-raw": "ref-davis17", "ref-davis17-converted": "ref-davis17"}


def opened(root: Path, name: str, split: str) -> ReferringData:
    """A miniature data set by its name in `tests.support.data_sets.ROOTS`."""
    return open_data(DataPlace(KINDS[_NAMES.get(name, name)], root), split)


@dataclass
class Run:
    """A prediction, as the command runs it."""

    root: Path
    name: str
    split: str
    out: Path
    window: int | None = None
    shard: Shard = field(default_factory=Shard)
    tolerate: float = 0.0
    limit: int | None = None
    warnings: list[InputWarning] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)

    @property
    def data(self) -> ReferringData:
        """The split."""
        return opened(self.root, self.name, self.split)

    def settings(self, **changes: Any) -> PredictSettings:
        """What the command would note."""
        kind = KINDS[_NAMES.get(self.name, self.name)]
        by_sample = kind.results == "objects"
        values: dict[str, Any] = {
            "data": kind.name,
            "split": self.split,
            "network": "1" * 64,
            "network_name": "tiny.safetensors",
            "mode": None if by_sample else "multi" if kind.name == "mevis" else "single",
            "window": self.window or (1 if by_sample else None),
            "short_edge_px": EDGES_PX[0],
            "long_edge_px": EDGES_PX[1],
            "limit": self.limit,
        }
        return PredictSettings(**(values | changes))

    @contextmanager
    def work(self, *, resume: bool = False, **changes: Any) -> Iterator[Prediction]:
        """Open the folder."""
        settings = self.settings(**changes)
        folder = PredictionFolder(self.out, self.shard)
        kind, data = KINDS[settings.data], self.data
        plan = plan_units(kind, data, self.limit)
        with folder.opened(settings, plan.fingerprints, resume=resume):
            yield Prediction(kind, data, folder, settings, plan, shard=self.shard, tolerate=self.tolerate)

    def all(self, *, resume: bool = False, with_zip: bool = False, stop_after: int | None = None) -> Outcome:
        """Do all that is left, or so many units."""
        with self.work(resume=resume) as work:
            for size in work.run(tiny_model(), work.remaining(), self.warnings.append):
                self.steps.append(size)
                if len(self.steps) == stop_after:
                    break
            return work.finish(with_zip=with_zip)


def tree(folder: Path) -> dict[str, bytes]:
    """All results by their names."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".predict" not in path.parts
    }
