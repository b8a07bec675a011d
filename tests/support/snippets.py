"""Snippets of the documents: what a reader would copy.

A block of code that cannot be run in a test has `<!-- not run: REASON -->` on the line before it.
"""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from tests.support.checkout import ROOT, project_files

__all__ = ["DOCUMENTS", "PROGRAMS", "Snippet", "command_lines", "of_documents", "snippets"]

DOCUMENTS = [
    path
    for path in project_files()
    if path == Path("README.md") or (path.suffix == ".md" and path.parts[0] == "docs" and path.parts[1] != "adr")
]
PROGRAMS = ("ssa-stream", "python", "pip", "torchrun", "make", ".venv/bin/ssa-stream", ".venv/bin/python")
"""What a line of a shell snippet begins with."""
_SHELLS = ("sh", "bash", "console", "shell")
_MARK = re.compile(r"<!-- not run: (.+?) -->")
_FENCE = re.compile(r"^( *)```(\w*)$")
_INDENT = "    "


@dataclass(frozen=True)
class Snippet:
    """A block of code.

    Attributes:
        path: Of the document, relative to the root.
        line: Where the code begins, from 1.
        language: As the fence says, else what it looks like: `python`, `shell` or `text`.
        text: The code.
        reason: Why it is not run; None if it is.
    """

    path: Path
    line: int
    language: str
    text: str
    reason: str | None = None

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


def snippets(text: str, path: Path = Path("document.md")) -> list[Snippet]:
    """All blocks of code of a document, fenced or indented."""
    found, lines, number, reason = [], text.splitlines(), 0, None
    while number < len(lines):
        line, begin = lines[number], number + 1
        block: list[str] = []
        if fence := _FENCE.match(line):
            number += 1
            while number < len(lines) and lines[number].strip() != "```":
                block.append(lines[number].removeprefix(fence[1]))
                number += 1
            number += 1
            begin += 1
            language = "shell" if fence[2] in _SHELLS else fence[2] or _language(block)
        elif line.startswith(_INDENT) and line.strip() and (number == 0 or not lines[number - 1].strip()):
            while number < len(lines) and (lines[number].startswith(_INDENT) or not lines[number].strip()):
                block.append(lines[number].removeprefix(_INDENT))
                number += 1
            language = _language(block)
        else:
            mark = _MARK.fullmatch(line.strip())
            reason = mark[1] if mark else reason if not line.strip() else None
            number += 1
            continue
        found.append(Snippet(path, begin, language, "\n".join(block).rstrip() + "\n", reason))
        reason = None
    return found


def _language(block: list[str]) -> str:
    """Of a block that does not say it."""
    if any(line.startswith(("import ", "from ")) and " import " in f" {line}" for line in block):
        return "python"
    return "shell" if any(map(_is_command, block)) else "text"


def _is_command(line: str) -> bool:
    return line.strip().removeprefix("$ ").split(" ")[0] in PROGRAMS


def command_lines(snippet: Snippet) -> list[list[str]]:
    """The words of each command of a shell snippet that is one of `PROGRAMS`, without comments."""
    lines = filter(_is_command, re.sub(r"\\\n\s*", " ", snippet.text).splitlines())
    words = [shlex.split(line.strip().removeprefix("$ "), comments=True) for line in lines]
    return [[word for word in line if word != "&"] for line in words if line]


def of_documents(*languages: str) -> list[Snippet]:
    """Snippets of all documents in some languages."""
    return [
        snippet
        for path in DOCUMENTS
        for snippet in snippets((ROOT / path).read_text(encoding="utf-8"), path)
        if snippet.language in languages
    ]
