"""Draw which folder of the package imports which, as the Mermaid flowchart in docs/architecture.md.

The imports are read from the source text; nothing is imported. An arrow goes from a folder to each folder that it
imports. Arrows that follow from others are left out (transitive reduction), and so is `errors`, which all may import.
A contract test fails when the picture in the docs is not what the source says.

    python -m tools.import_picture           # write the picture into docs/architecture.md
    python -m tools.import_picture --report  # print the number of modules, lines and single importers instead
"""

import argparse
import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

from tools.link_typings import MAPPED_FOLDERS, ROOT

__all__ = [
    "BEGIN",
    "DOCUMENT",
    "END",
    "MAPPED_FOLDERS",
    "ROOT",
    "TOP_PACKAGE",
    "Import",
    "collect_imports",
    "folder_imports",
    "importers",
    "module_name",
    "picture",
    "read_sources",
    "reduced",
    "report",
    "source_files",
    "with_picture",
]

TOP_PACKAGE = "ssa_stream"
DOCUMENT = Path("docs/architecture.md")
BEGIN = "<!-- import picture: written by `make picture` -->"
END = "<!-- end of import picture -->"
# Folders whose sub-folders are shown one by one.
_OPENED = ("nodes",)
_NOT_SHOWN = frozenset({"", "errors"})


@dataclass(frozen=True)
class Import:
    """One import: what it names, where, and whether it runs when the module is imported."""

    target: str
    level: int
    line: int
    at_import_time: bool


class _Collector(ast.NodeVisitor):
    def __init__(self) -> None:
        self.found: list[Import] = []
        self._depth = 0

    def _add(self, target: str, node: ast.stmt | ast.expr, level: int = 0) -> None:
        self.found.append(Import(target, level, node.lineno, at_import_time=self._depth == 0))

    def _visit_deferred(self, node: ast.AST) -> None:
        self._depth += 1
        self.generic_visit(node)
        self._depth -= 1

    visit_FunctionDef = visit_AsyncFunctionDef = visit_Lambda = _visit_deferred

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test) not in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            self.generic_visit(node)
            return
        self._depth += 1
        for statement in node.body:
            self.visit(statement)
        self._depth -= 1
        for statement in node.orelse:
            self.visit(statement)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._add(alias.name, node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            self._add(f"{node.module or ''}.{alias.name}".lstrip("."), node, node.level)

    def visit_Call(self, node: ast.Call) -> None:
        called = ast.unparse(node.func).rpartition(".")[2]
        if called in ("import_module", "__import__") and node.args:
            name = node.args[0]
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                self._add(name.value.lstrip("."), name, level=int(name.value.startswith(".")))
        self.generic_visit(node)


def collect_imports(source: str) -> list[Import]:
    """Return every import in a text, also in functions, under TYPE_CHECKING, and `import_module("literal")`."""
    collector = _Collector()
    collector.visit(ast.parse(source))
    return collector.found


def source_files(root: Path) -> Iterator[Path]:
    """Yield every Python file of the package under the repository root, the mapped folders included."""
    for folder in (TOP_PACKAGE, *MAPPED_FOLDERS):
        yield from sorted(path for path in (root / folder).rglob("*.py") if "__pycache__" not in path.parts)


def module_name(path: Path) -> str:
    """Return the name under which a file of the package is imported.

    Args:
        path: Relative to the repository root.
    """
    parts = list(path.with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts if parts[0] == TOP_PACKAGE else [TOP_PACKAGE, *parts])


def importers(sources: Mapping[str, str]) -> dict[str, set[str]]:
    """Return for each module of the package the modules that import it.

    Args:
        sources: Texts by the full names of their modules.
    """
    found: dict[str, set[str]] = {module: set() for module in sources}
    for module, source in sources.items():
        for item in collect_imports(source):
            target = item.target if item.target in found else item.target.rpartition(".")[0]
            if target in found and target != module:
                found[target].add(module)
    return found


def folder_imports(sources: Mapping[str, str]) -> dict[str, set[str]]:
    """Return for each folder the folders that it imports, without itself.

    Raises:
        graphlib.CycleError: If folders import each other in a circle; it names them.
    """
    found: dict[str, set[str]] = defaultdict(set)
    for target, modules in importers(sources).items():
        for folder in (_folder(target), *map(_folder, modules)):
            found[folder] |= set()
        for module in modules:
            found[_folder(module)].add(_folder(target))
    hidden = _NOT_SHOWN.union(name for name in _OPENED if not found[name])  # nothing but a docstring
    shown = {one: others - {one} - hidden for one, others in found.items() if one not in hidden}
    TopologicalSorter(shown).prepare()
    return shown


def _folder(module: str) -> str:
    parts = module.split(".")[1:]
    return "/".join(parts[: 2 if parts and parts[0] in _OPENED else 1])


def reduced(graph: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Return an acyclic graph without the arrows that follow from others."""
    reach: dict[str, set[str]] = {}
    for node in TopologicalSorter(graph).static_order():
        reach[node] = graph[node].union(*(reach[other] for other in graph[node]))
    return {
        node: {other for other in others if not any(other in reach[third] for third in others)}
        for node, others in graph.items()
    }


def picture(graph: Mapping[str, set[str]]) -> str:
    """Return the flowchart of an acyclic graph of folders, as a fenced block of Markdown."""
    lines = ["```mermaid", "flowchart TD"]
    for opened in _OPENED:
        lines += [f"    subgraph {opened}", "        direction TB"]
        lines += [
            f'        {_identifier(name)}["{name.partition("/")[2]}"]'
            for name in sorted(graph)
            if name.startswith(opened + "/")
        ]
        lines += ["    end"]
    lines += [f'    {_identifier(name)}["{name}"]' for name in sorted(graph) if "/" not in name]
    lines += [
        f"    {_identifier(name)} --> {' & '.join(_identifier(other) for other in sorted(others))}"
        for name, others in sorted(reduced(graph).items())
        if others
    ]
    return "\n".join([*lines, "```"])


def _identifier(folder: str) -> str:
    return folder.replace("/", "_")


def with_picture(document: str, block: str) -> str:
    """Return the document with the block between its two marks.

    Raises:
        ValueError: If a mark is missing or stands there twice.
    """
    if document.count(BEGIN) != 1 or document.count(END) != 1:
        raise ValueError(f"expected the lines {BEGIN!r} and {END!r} once each")
    before, _, rest = document.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{block}\n\n{END}{rest.partition(END)[2]}"


def report(sources: Mapping[str, str]) -> str:
    """Return figures about the package: modules, lines, and modules that exactly one other module imports."""
    single = sorted((module, *modules) for module, modules in importers(sources).items() if len(modules) == 1)
    lines = [source.count("\n") for source in sources.values()]
    return "\n".join(
        [
            f"{len(sources)} modules, {sum(lines)} lines",
            f"{sum(1 for count in lines if count > 250)} modules of more than 250 lines",
            f"{len(single)} modules with exactly one importer:",
            *(f"  {module} <- {importer}" for module, importer in single),
        ]
    )


def read_sources(root: Path) -> dict[str, str]:
    """Return the texts of the package by the names of their modules."""
    return {module_name(path.relative_to(root)): path.read_text(encoding="utf-8") for path in source_files(root)}


def main() -> None:
    """Write the picture, or print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--report", action="store_true", help="print figures, write nothing")
    options = parser.parse_args()
    sources = read_sources(ROOT)
    if options.report:
        print(report(sources))
        return
    document = ROOT / DOCUMENT
    text = document.read_text(encoding="utf-8")
    document.write_text(with_picture(text, picture(folder_imports(sources))), encoding="utf-8")


if __name__ == "__main__":
    main()
