"""The checkout that the tests lie in: its root and the files that belong to it."""

import os
import subprocess
from pathlib import Path

__all__ = ["ROOT", "project_files"]

ROOT = Path(__file__).resolve().parents[2]
_LISTING = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
# What .gitignore names, for a copy of the tree that git knows nothing of.
_MADE = {"typings", "demo", "build", "dist", "runs", "__pycache__"}


def project_files() -> list[Path]:
    """Return the files under version control, and those new and not ignored, relative to the root.

    In a plain copy of the tree, or on a machine without git, these are all files but those that are made.
    """
    try:
        listing = subprocess.run(_LISTING, cwd=ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return sorted(_walk())
    found = sorted({Path(os.fsdecode(name)) for name in listing.split(b"\0") if name})
    return [path for path in found if (ROOT / path).is_file()]  # not those deleted but not yet committed


def _walk() -> list[Path]:
    found = []
    for parent, folders, names in os.walk(ROOT):
        folders[:] = [
            name for name in folders if name not in _MADE and not name.endswith(".egg-info") and not _is_hidden(name)
        ]
        found += [Path(parent, name).relative_to(ROOT) for name in names]
    return found


def _is_hidden(folder: str) -> bool:
    return folder.startswith(".") and folder != ".ci"
