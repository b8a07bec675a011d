"""What the fuzz run tries: some of it in every test run. Only errors of the package may come out."""

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.fuzzing import checkpoints, datasets, object_sets, pipelines

Attempt = Callable[[int, Path], str]


@pytest.mark.parametrize(
    ("attempt", "seeds"),
    [
        (pipelines.attempt, range(1, 120)),
        (datasets.attempt, range(120)),
        (object_sets.attempt, range(120)),
        (checkpoints.attempt, range(60)),
    ],
    ids=["pipelines", "datasets", "object_sets", "checkpoints"],
)
@pytest.mark.slow
def test_hostile_files_are_refused_or_taken(attempt: Attempt, seeds: range, tmp_path: Path) -> None:
    """Both happens: a reader that refuses everything would pass otherwise."""
    outcomes: Counter[str] = Counter()
    for seed in seeds:
        folder = tmp_path / str(seed)
        folder.mkdir()
        outcomes[attempt(seed, folder)] += 1
    assert set(outcomes) == {"taken", "refused"}
    assert outcomes["refused"] > outcomes["taken"]


def test_equal_seeds_make_equal_files(tmp_path: Path) -> None:
    """So that a finding can be repeated."""
    for seed in (3, 4):
        made = []
        for name in ("a", "b"):
            (tmp_path / f"{seed}{name}").mkdir()
            path = pipelines.case(random.Random(seed), tmp_path / f"{seed}{name}")
            made.append((path.name, path.read_bytes()))
        assert made[0] == made[1]
