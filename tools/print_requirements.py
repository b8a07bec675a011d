"""Print what the package depends on, extras of its own resolved, one requirement a line, in pip's form.

    python tools/print_requirements.py webrtc > requirements.txt

Standard library only: an image installs the dependencies, which change seldom, before it has the code.
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def requirements(extras: list[str], root: Path = ROOT) -> list[str]:
    """What an installation with extras needs.

    Args:
        extras: Of `pyproject.toml`.
        root: Has that file.
    Raises:
        SystemExit: There is no such extra.
    """
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    optional: dict[str, list[str]] = project["optional-dependencies"]
    own = re.compile(rf"{re.escape(project['name'])}\[([\w,-]+)\]")

    def of(extra: str) -> Iterator[str]:
        if extra not in optional:
            raise SystemExit(f"there is no extra {extra!r}; expected one of {', '.join(optional)}")
        for requirement in optional[extra]:
            if match := own.fullmatch(requirement):
                for other in match[1].split(","):
                    yield from of(other)
            else:
                yield requirement

    return sorted({*project["dependencies"], *(one for extra in extras for one in of(extra))})


if __name__ == "__main__":
    print("\n".join(requirements(sys.argv[1:])))
