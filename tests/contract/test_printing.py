"""Everything is printed through one of a few places, which let no text from outside tell the terminal what to do."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.checkout import ROOT
from tools.import_picture import source_files

# The places: results and views, lines of nodes and logs, tracebacks and warnings.
WRAPPERS = {
    "ssa_stream/cli/views/console.py",
    "nodes/runtime/logs.py",
    "ssa_stream/standard_streams.py",
}
# Called by these names, something is printed, or is set up that prints.
_PRINTS = {
    "print", "pprint", "echo", "secho", "Console", "basicConfig", "print_exc", "print_exception", "print_stack",
    "WriteLoggerFactory", "PrintLoggerFactory",
}  # fmt: skip
_STREAMS = {"stdout", "stderr", "__stdout__", "__stderr__"}


def _prints(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = node.func
        if isinstance(name, ast.Name) and name.id in _PRINTS:
            yield f"{node.lineno}: {name.id}"
        elif isinstance(name, ast.Attribute) and name.attr in _PRINTS and not _is_console(name.value):
            yield f"{node.lineno}: {ast.unparse(name)}"
        elif (
            isinstance(name, ast.Attribute)
            and name.attr in ("write", "writelines")
            and isinstance(name.value, ast.Attribute)
            and name.value.attr in _STREAMS
        ):
            yield f"{node.lineno}: {ast.unparse(name)}"


def _is_console(value: ast.expr) -> bool:
    """Whether `value.print` prints through the wrapper: its functions, and what they gave."""
    words = ast.unparse(value)
    return words in ("errors()", "output()") or words.startswith("wide_output(") or words.endswith("console")


SOURCES = {str(path.relative_to(ROOT)): path for path in source_files(ROOT)}


@pytest.mark.parametrize("name", sorted(set(SOURCES) - WRAPPERS))
def test_module_prints_through_the_wrappers(name: str) -> None:
    """No print, no console and no handler of logs of its own."""
    found = list(_prints(SOURCES[name].read_text(encoding="utf-8")))
    assert not found, f"{name} prints by itself; use ssa_stream.cli.views.console, or `say` of nodes.runtime.logs"


@pytest.mark.parametrize("name", sorted(name for name in SOURCES if name.startswith("ssa_stream/cli/")))
def test_command_tells_what_goes_on_by_notices(name: str) -> None:
    """What is printed on the console of stderr is no event where the log is JSON; `notice` sees to both."""
    if name in WRAPPERS:
        return
    tree = ast.parse(SOURCES[name].read_text(encoding="utf-8"))
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    printing = [call for call in calls if isinstance(call, ast.Attribute) and call.attr == "print"]
    found = [ast.unparse(call) for call in printing if ast.unparse(call.value) == "errors()"]
    assert not found, f"{name}: use `notice` of ssa_stream.cli.views.console"


@pytest.mark.parametrize("name", sorted(WRAPPERS))
def test_wrapper_is_still_one(name: str) -> None:
    """It prints, and makes printable what it prints."""
    source = (ROOT / name).read_text(encoding="utf-8")
    assert list(_prints(source))
    assert "printable_lines(" in source


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.name)
def test_example_makes_printable_what_it_was_told(path: Path) -> None:
    """Examples print, so that they stay short; texts in what they print are quoted or go through `printable`."""
    prints = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if _is_print(node)]
    texts = [value for call in prints for value in ast.walk(call) if isinstance(value, ast.FormattedValue)]
    raw = [ast.unparse(value.value) for value in texts if not _is_safe(value)]
    assert not raw, f"{path.name} prints {raw} as they are"


def _is_print(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"


def _is_safe(value: ast.FormattedValue) -> bool:
    """Quoted, a number by its format, through `printable`, or harmless, such as the name of a stream."""
    words = ast.unparse(value.value)
    harmless = ("where", "age", "left", "top", "right", "bottom", "frames", "shown", "dropped", "output")
    return (
        value.conversion == ord("r")
        or value.format_spec is not None
        or words.startswith("printable(")
        or words in harmless
        or words.endswith((".stream", ".seq", ".epoch", ".gap", "['id']", "['index']"))
    )
