"""Nothing in the repository ties it to the machine or the registry that it was written with."""

import re

import pytest

from tests.support.checkout import ROOT, project_files

# In pieces, so that this file does not hold what it looks for.
PATTERNS = {
    "registry host": [
        "py" + r"pi\.org",
        "python" + "hosted",
        "registry" + r"\.npmjs",
        "deb" + r"\.debian",
        "download" + r"\.pytorch",
    ],
    "machine path": [
        "/wo" + "rk/",
        "/fa" + "rm/",
        "/ro" + "ot/",
        "/tmp/ba" + "sh_jobs",
        "/opt/wh" + "eels",
        "/opt/py" + "pi",
        r"/\.py" + "env/",
        "/Us" + r"ers/\w",
        "/ho" + r"me/\w",
    ],
}


def _hits(text: str, kind: str) -> list[str]:
    return [line.strip()[:120] for line in text.splitlines() if re.search("|".join(PATTERNS[kind]), line)]


@pytest.mark.parametrize("kind", PATTERNS)
def test_project_files_name_no(kind: str) -> None:
    """The files of the project are free of it."""
    found = {}
    for path in project_files():
        text = (ROOT / path).read_bytes().decode("utf-8", errors="replace")
        if hits := _hits(text, kind):
            found[str(path)] = hits
    assert found == {}


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("registry host", "index = https://" + "py" + "pi.org/simple"),
        ("registry host", "https://files.python" + "hosted.org/x.whl"),
        ("machine path", "open('/wo" + "rk/main/x')"),
        ("machine path", "cache=/ro" + "ot/.cache"),
        ("machine path", "/ho" + "me/someone/video.mp4"),
    ],
)
def test_pattern_hit_is_found(kind: str, text: str) -> None:
    """The patterns bite."""
    assert _hits(f"first line\n{text}\n", kind) == [text]
