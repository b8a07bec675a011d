"""What the documents point at is there: links, headings, paths, decisions."""

import re
from pathlib import Path

import pytest

from tests.support.checkout import ROOT, project_files

DOCUMENTS = [path for path in project_files() if path.suffix == ".md" and path.parts[0] != "tests"]
_FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_PATH = re.compile(
    r"`((?:ssa_stream|nodes|protocols|configs|tests|tools|benchmarks|examples|docs)/[\w./-]*|[\w-]+\.(?:md|toml))`"
)
_DECISION = re.compile(r"\b(?:ADR |docs/adr/)(\d{4})\b")
_SOURCES = (".py", ".yaml", ".md", ".js", ".html", ".toml")


def _anchors(document: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", _FENCED.sub("", document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(path: Path) -> list[str]:
    """Return the relative links of a document that lead nowhere."""
    broken = []
    for link in _LINK.findall(_FENCED.sub("", (ROOT / path).read_text(encoding="utf-8"))):
        name, _, anchor = link.partition("#")
        target = (ROOT / path.parent / name) if name else ROOT / path
        if "://" in link:
            continue
        if not target.exists() or (
            anchor and target.suffix == ".md" and anchor not in _anchors(target.read_text(encoding="utf-8"))
        ):
            broken.append(link)
    return broken


def named_paths(text: str) -> list[str]:
    """Return the paths of the repository that a document names in backticks."""
    return _PATH.findall(_FENCED.sub("", text))


def _section(document: str, heading: str) -> str:
    text = (ROOT / document).read_text(encoding="utf-8")
    found = re.search(rf"^(#+) {re.escape(heading)}\n(.*?)(?=^#{{1,3}} |\Z)", text, re.DOTALL | re.MULTILINE)
    assert found, f"{document} has no heading {heading!r}"
    return found[2]


@pytest.mark.parametrize("path", DOCUMENTS, ids=str)
def test_links_of_document_lead_somewhere(path: Path) -> None:
    """Files and headings that a document links to are there."""
    assert broken_links(path) == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=str)
def test_paths_in_document_exist(path: Path) -> None:
    """A path in backticks is one of this repository."""
    named = named_paths((ROOT / path).read_text(encoding="utf-8"))
    assert [name for name in named if not (ROOT / name).exists() and not (ROOT / path.parent / name).exists()] == []


def test_decisions_that_are_cited_exist() -> None:
    """No file cites a decision that was deleted."""
    numbers = {path.name[:4] for path in (ROOT / "docs/adr").glob("0*.md")}
    cited = {
        (str(path), number)
        for path in project_files()
        if path.suffix in _SOURCES
        for number in _DECISION.findall((ROOT / path).read_text(encoding="utf-8"))
    }
    assert {(path, number) for path, number in cited if number not in numbers} == set()


def test_decisions_are_listed_in_their_index() -> None:
    """Every decision has its line."""
    index = (ROOT / "docs/adr/README.md").read_text(encoding="utf-8")
    assert [path.name for path in sorted((ROOT / "docs/adr").glob("0*.md")) if f"({path.name})" not in index] == []


def test_where_is_what_names_a_file_for_each_of_twenty_behaviours() -> None:
    """Each line of the table names at least one file."""
    rows = [line for line in _section("CONTRIBUTING.md", "Where is what").splitlines() if line.startswith("| ")][2:]
    assert len(rows) >= 20
    assert [row for row in rows if not named_paths(row)] == []


@pytest.mark.parametrize("walk", ["A frame through `run`", "A frame through the graph to a robot", "A prompt change"])
def test_walk_has_at_most_ten_files(walk: str) -> None:
    """A walk is a short list of files, in the order in which the thing passes."""
    steps = re.findall(r"^\d+\. .*?(?=^\d+\. |\Z)", _section("docs/architecture.md", walk), re.DOTALL | re.MULTILINE)
    assert 3 <= len(steps) <= 10
    assert [step for step in steps if len(named_paths(step)) != 1] == []


def test_checks_bite() -> None:
    """Headings, paths and fenced blocks are told apart."""
    assert _anchors("# One `two`: three\n```\n# no heading\n```\n") == {"one-two-three"}
    assert named_paths("`nodes/x.py`, `runs/y.csv`, nodes/z.py\n```\n`nodes/a.py`\n```\n") == ["nodes/x.py"]
