"""Golden cases and folders that are changed on purpose."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ssa_stream.checkpoints.golden_folder import GoldenCase, read_case
from tests.support.checkout import ROOT

__all__ = ["SMALL", "Change", "changed_case", "changed_folder"]

SMALL = ROOT / "tests" / "contract" / "golden" / "small"
_CASE = SMALL / "T2_long.npz"

Change = Callable[[dict[str, Any]], object]
"""Changes recorded arrays in place."""


def changed_case(change: Change) -> GoldenCase:
    """A case with changed arrays, in memory."""
    case = read_case(_CASE)
    arrays = dict(case.arrays)
    change(arrays)
    return replace(case, arrays=arrays)


def changed_folder(path: Path, change: Change = lambda arrays: None) -> Path:
    """A golden folder with one case, whose arrays are changed before they are written."""
    for name in ("config.json", "keys.json"):
        shutil.copyfile(SMALL / name, path / name)
    with np.load(_CASE) as file:
        arrays = {name: file[name] for name in file.files}
    change(arrays)
    np.savez(path / _CASE.name, **arrays)
    return path
