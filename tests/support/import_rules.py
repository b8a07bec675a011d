"""Who may import whom, and a checker that reads source text and never imports it."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass

from tools.import_picture import MAPPED_FOLDERS, TOP_PACKAGE, Import, collect_imports

__all__ = [
    "RULES",
    "Rule",
    "private_imports",
    "violations",
]

MAY_IMPORT_ZMQ = frozenset({"nodes", "client", "keys"})
# Importing one of these imports torch.
BRINGS_TORCH = frozenset({"torch", "torchvision", "timm", "open_clip", "lightning"})
# Parts of `nodes` that are no nodes: what nodes stand on.
NODE_PARTS = frozenset({"runtime", "pipeline", "health"})
# Puts the nodes together, so it may import them.
NODE_LAUNCHER = "launcher"
# What only `ssa-tiny` needs of the training, and the one module that knows of it.
TINY_TRAINING, KNOWS_TINY_TRAINING = "training.tiny", "training.recipe"


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
    "input_warnings": Rule(_siblings(), third_party=frozenset(), torch="never"),
    "printable": Rule(frozenset(), third_party=frozenset(), torch="never"),
    "log_lines": Rule(frozenset({"printable", "strict_json", "texts"}), third_party=frozenset(), torch="never"),
    "standard_streams": Rule(frozenset({"log_lines", "printable"}), third_party=frozenset(), torch="never"),
    "addresses": Rule(_siblings("picture_limits"), third_party=frozenset(), torch="never"),
    "awake": Rule(frozenset(), third_party=frozenset(), torch="never"),
    "cores": Rule(frozenset(), third_party=frozenset(), torch="never"),
    "extras": Rule(frozenset(), third_party=frozenset(), torch="never"),
    "files": Rule(_siblings(), third_party=frozenset(), torch="never"),
    "outputs": Rule(_siblings("addresses files picture_names playlist_names"), third_party=frozenset(), torch="never"),
    "overload": Rule(frozenset({"rates"}), third_party=frozenset(), torch="never"),
    "lazy_names": Rule(frozenset(), third_party=frozenset(), torch="never"),
    "rates": Rule(frozenset(), third_party=frozenset(), torch="never"),
    "sentences": Rule(_siblings(), third_party=frozenset(), torch="never"),
    "texts": Rule(frozenset(), third_party=frozenset(), torch="never"),
    "strict_json": Rule(frozenset({"texts"}), third_party=frozenset(), torch="never"),
    "run_lengths": Rule(_siblings(), third_party=frozenset({"numpy"}), torch="never"),
    "protocols": Rule(_siblings("printable run_lengths"), third_party=_WIRE | {"lz4"}, torch="never"),
    "configs": Rule(_siblings("files texts"), third_party=_WIRE, torch="never"),
    "keys": Rule(_siblings("files"), third_party=frozenset({"zmq"}), torch="never"),
    "client": Rule(_siblings("found_frames protocols keys rates run_lengths"), torch="never"),
    "model": Rule(_siblings("lazy_names")),
    "streaming": Rule(_siblings("input_warnings lazy_names model printable sentences")),
    "found_frames": Rule(frozenset(), third_party=frozenset(), torch="never"),
    "knowledge": Rule(_siblings("printable strict_json texts weight_files"), third_party=frozenset(), torch="never"),
    "weight_files": Rule(_siblings(), third_party=frozenset(), torch="never"),
    "engines": Rule(_siblings("cores model files lazy_names")),
    "checkpoints": Rule(_siblings("model configs files knowledge lazy_names printable strict_json texts weight_files")),
    "metrics": Rule(_siblings(), third_party=frozenset({"numpy", "torch", "cv2", "scipy", "pycocotools"})),
    "evaluation": Rule(
        _siblings(
            "cores files input_warnings lazy_names model picture_limits printable run_lengths streaming strict_json "
            "data metrics checkpoints texts viz"
        )
    ),
    "training": Rule(_siblings("model data checkpoints files input_warnings lazy_names metrics evaluation configs")),
    "backoff": Rule(frozenset(), third_party=frozenset(), torch="never"),
    "plugins": Rule(_siblings(), third_party=frozenset(), torch="never"),
    "data": Rule(_siblings("cores files picture_limits run_lengths strict_json texts"), torch="lazily"),
    "picture_limits": Rule(_siblings(), third_party=frozenset(), torch="never"),
    "picture_names": Rule(frozenset(), third_party=frozenset(), torch="never"),
    "playlist_names": Rule(_siblings("addresses"), third_party=frozenset(), torch="never"),
    "sources": Rule(
        _siblings("addresses awake backoff data picture_limits picture_names playlist_names plugins rates")
    ),
    "viz": Rule(_siblings("extras printable streaming.results")),
    "sinks": Rule(_siblings("viz streaming.results plugins run_lengths files outputs rates")),
    "nodes": Rule(
        _siblings(
            "addresses awake protocols configs keys backoff client files input_warnings outputs run_lengths "
            "model checkpoints engines metrics printable sentences standard_streams streaming texts training data "
            "sources sinks viz weight_files overload rates log_lines found_frames knowledge"
        ),
    ),
    "cli": Rule(None),
}


def violations(module: str, source: str) -> list[str]:
    """Return what a module's imports break, as `module:line: reason`.

    Args:
        module: Its full name; a package's `__init__` goes by the package's name.
        source: Its text.
    """
    part = module.removeprefix(TOP_PACKAGE).lstrip(".").partition(".")[0]
    if part not in RULES:
        return [f"{module}: no row for {part!r} in tests/support/import_rules.py: say what it may import"]
    return [
        f"{module}:{item.line}: {reason}"
        for item in collect_imports(source)
        for reason in _reasons_against(module, part, item)
    ]


def private_imports(source: str) -> list[str]:
    """Return the private names of the package that a program imports, as `line: name`."""
    return [
        f"{item.line}: {item.target}"
        for item in collect_imports(source)
        if item.target.startswith(TOP_PACKAGE + ".")
        and any(name.startswith("_") and not name.endswith("__") for name in item.target.split("."))
    ]


def _reasons_against(module: str, part: str, item: Import) -> Iterator[str]:
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
    own = module.removeprefix(TOP_PACKAGE).lstrip(".")
    if _is_within(target, TINY_TRAINING) and own != KNOWS_TINY_TRAINING and not _is_within(own, TINY_TRAINING):
        yield f"imports {target}; only {KNOWS_TINY_TRAINING} knows of it"
    if other == part:
        if part == "nodes" and _is_another_node(module, target):
            yield f"a node imports another node, {target}"
        return
    if other not in RULES:  # an attribute of the top package, such as __version__
        return
    allowed = RULES[part].siblings
    if other == "cli":
        yield "nobody imports cli"
    elif allowed is not None and not any(_is_within(target, name) for name in allowed):
        yield f"{part or TOP_PACKAGE} must not import {target}"


def _is_within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def _is_another_node(module: str, target: str) -> bool:
    own = module.removeprefix(TOP_PACKAGE + ".nodes").lstrip(".").partition(".")[0]
    theirs = target.removeprefix("nodes").lstrip(".").partition(".")[0]
    return own != NODE_LAUNCHER and theirs not in {"", own, *NODE_PARTS}


def _reasons_against_third_party(part: str, item: Import) -> Iterator[str]:
    rule, package = RULES[part], item.target.partition(".")[0]
    if package == "zmq" and part not in MAY_IMPORT_ZMQ:
        yield f"{part} must not import zmq; only {', '.join(sorted(MAY_IMPORT_ZMQ))} do"
    elif package in BRINGS_TORCH and (rule.torch == "never" or (rule.torch == "lazily" and item.at_import_time)):
        yield f"{part} must not import {package}" + (" at module level" if rule.torch == "lazily" else "")
    elif rule.third_party is not None and package not in rule.third_party and package not in sys.stdlib_module_names:
        yield f"{part} must not import {package}"
