"""Lay out `typings/ssa_stream`: links that show the type checkers one package.

The folders `nodes`, `protocols` and `configs` install as parts of `ssa_stream`, which no type checker knows. The links
mirror the whole package, since a part of it would hide the rest. Nothing reads them at run time.
"""

import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAPPED_FOLDERS = ("nodes", "protocols", "configs")


def link(root: Path) -> None:
    """Make `typings/ssa_stream` under `root` anew, with relative links."""
    farm = root / "typings" / "ssa_stream"
    shutil.rmtree(farm, ignore_errors=True)
    farm.mkdir(parents=True)
    for entry in sorted((root / "ssa_stream").iterdir()):
        if entry.name != "__pycache__":
            (farm / entry.name).symlink_to(Path("../../ssa_stream") / entry.name)
    for name in MAPPED_FOLDERS:
        (farm / name).symlink_to(Path("../..") / name)


if __name__ == "__main__":
    link(ROOT)
