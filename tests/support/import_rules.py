"""Who may import whom, and a checker that reads source text and never imports it."""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "MAPPED_FOLDERS",
    "RULES",
    "TOP_PACKAGE",
    "Rule",
    "module_name",
    "private_imports",
    "source_files",
    "violations",
]

TOP_PACKAGE = "ssa_stream"
# Top-level folders that install as parts of the package (ADR 0001).
MAPPED_FOLDERS = ("configs", "nodes", "protocols")
MAY_IMPORT_ZMQ = frozenset({"nodes", "client", "keys"})
# Importing one of these imports torch.
BRINGS_TORCH = frozenset({"torch", "torchvision", "timm", "open_clip", "lightning"})
# Parts of `nodes` that are no nodes: what nodes stand on.
NODE_PARTS = frozenset({"runtime", "pipeline", "health"})
# Puts the nodes together, so it may import them.
NODE_LAUNCHER = "launcher"


@dataclass(frozen=True)
class Rule:
    """What the modules of one part of the package may import.

    Attributes:
        siblings: Parts of the package, or modules in them ("streaming.results"); None: any part but `cli`.
        third_party: Third-party packages; None: any, but for the general rules below.
        torch: `yes`; `lazily`, inside functions only; `never`.
    """

    siblings: frozenset[str] | None
    third_party: frozenset[str] | None = None
    torch: str = "yes"


def _siblings(names: str = "") -> frozenset[str]:
    return frozenset(names.split()) | {"errors"}


_WIRE = frozenset({"msgpack", "msgspec", "numpy", "yaml"})

# One row a part. General rules besides: nobody imports `cli`; zmq only in MAY_IMPORT_ZMQ; a node never imports another
# node; imports are absolute, and name a mapped folder as a part of the package.
RULES = {
    "": Rule(frozenset(), third_party=frozenset(), torch="never"),
    "errors": Rule(frozenset(), third_party=frozenset(), torch="never"),
    "files": Rule(frozenset(), third_party=frozenset(), torch="never"),
    "run_lengths": Rule(_siblings(), third_party=frozenset({"numpy"}), torch="never"),
    "protocols": Rule(_siblings("run_lengths"), third_party=_WIRE | {"lz4"}, torch="never"),
    "configs": Rule(_siblings(), third_party=_WIRE, torch="never"),
    "keys": Rule(_siblings("files"), third_party=frozenset({"zmq"}), torch="never"),
    "client": Rule(_siblings("protocols keys run_lengths"), torch="never"),
    "model": Rule(_siblings()),
    "streaming": Rule(_siblings("model")),
    "checkpoints": Rule(_siblings("model configs files")),
    "metrics": Rule(_siblings(), third_party=frozenset({"numpy", "torch", "cv2", "scipy", "pycocotools"})),
    "evaluation": Rule(_siblings("model streaming data metrics checkpoints viz")),
    "training": Rule(_siblings("model data checkpoints metrics evaluation configs")),
    "backoff": Rule(frozenset(), third_party=frozenset(), torch="never"),
    "plugins": Rule(_siblings(), third_party=frozenset(), torch="never"),
    "data": Rule(_siblings("run_lengths"), torch="lazily"),
    "sources": Rule(_siblings("backoff data plugins")),
    "viz": Rule(_siblings("streaming.results")),
    "sinks": Rule(_siblings("viz streaming.results plugins run_lengths")),
    "nodes": Rule(
        _siblings(
            "protocols configs keys backoff client files run_lengths model checkpoints metrics streaming training data "
            "sources sinks viz"
        ),
    ),
    "cli": Rule(None),
}


@dataclass(frozen=True)
class _Import:
    """One import: what it names, where, and whether it runs when the module is imported."""

    target: str
    level: int
    line: int
    at_import_time: bool


class _ImportCollector(ast.NodeVisitor):
    """Collects every import, also in functions, under TYPE_CHECKING, and `import_module("literal")`."""

    def __init__(self) -> None:
        self.found: list[_Import] = []
        self._depth = 0

    def _add(self, target: str, node: ast.stmt | ast.expr, level: int = 0) -> None:
        self.found.append(_Import(target, level, node.lineno, at_import_time=self._depth == 0))

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


def violations(module: str, source: str) -> list[str]:
    """Return what a module's imports break, as `module:line: reason`.

    Args:
        module: Its full name; a package's `__init__` goes by the package's name.
        source: Its text.
    """
    part = module.removeprefix(TOP_PACKAGE).lstrip(".").partition(".")[0]
    if part not in RULES:
        return [f"{module}: no row for {part!r} in tests/support/import_rules.py: say what it may import"]
    collector = _ImportCollector()
    collector.visit(ast.parse(source))
    return [
        f"{module}:{item.line}: {reason}" for item in collector.found for reason in _reasons_against(module, part, item)
    ]


def private_imports(source: str) -> list[str]:
    """Return the private names of the package that a program imports, as `line: name`."""
    collector = _ImportCollector()
    collector.visit(ast.parse(source))
    return [
        f"{item.line}: {item.target}"
        for item in collector.found
        if item.target.startswith(TOP_PACKAGE + ".")
        and any(name.startswith("_") and not name.endswith("__") for name in item.target.split("."))
    ]


def _reasons_against(module: str, part: str, item: _Import) -> Iterator[str]:
    if item.level:
        yield "relative import; write the full name"
    elif item.target.partition(".")[0] in MAPPED_FOLDERS:
        yield f"imports {item.target}; its name is {TOP_PACKAGE}.{item.target}"
    elif item.target == TOP_PACKAGE or item.target.startswith(TOP_PACKAGE + "."):
        yield from _reasons_against_sibling(module, part, item.target.removeprefix(TOP_PACKAGE).lstrip("."))
    else:
        yield from _reasons_against_third_party(part, item)


def _reasons_against_sibling(module: str, part: str, target: str) -> Iterator[str]:
    other = target.partition(".")[0]
    if other == part:
        if part == "nodes" and _is_another_node(module, target):
            yield f"a node imports another node, {target}"
        return
    if other not in RULES:  # an attribute of the top package, such as __version__
        return
    allowed = RULES[part].siblings
    if other == "cli":
        yield "nobody imports cli"
    elif allowed is not None and not any(target == name or target.startswith(name + ".") for name in allowed):
        yield f"{part or TOP_PACKAGE} must not import {target}"


def _is_another_node(module: str, target: str) -> bool:
    own = module.removeprefix(TOP_PACKAGE + ".nodes").lstrip(".").partition(".")[0]
    theirs = target.removeprefix("nodes").lstrip(".").partition(".")[0]
    return own != NODE_LAUNCHER and theirs not in {"", own, *NODE_PARTS}


def _reasons_against_third_party(part: str, item: _Import) -> Iterator[str]:
    rule, package = RULES[part], item.target.partition(".")[0]
    if package == "zmq" and part not in MAY_IMPORT_ZMQ:
        yield f"{part} must not import zmq; only {', '.join(sorted(MAY_IMPORT_ZMQ))} do"
    elif package in BRINGS_TORCH and (rule.torch == "never" or (rule.torch == "lazily" and item.at_import_time)):
        yield f"{part} must not import {package}" + (" at module level" if rule.torch == "lazily" else "")
    elif rule.third_party is not None and package not in rule.third_party and package not in sys.stdlib_module_names:
        yield f"{part} must not import {package}"
