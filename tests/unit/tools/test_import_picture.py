"""The tool that draws which folder imports which."""

import graphlib

import pytest

from tools.import_picture import BEGIN, END, folder_imports, importers, picture, reduced, report, with_picture

_SOURCES = {
    "ssa_stream": '"""Top."""\n',
    "ssa_stream.errors": "import math\n",
    "ssa_stream.model": "from ssa_stream.model.ssa import SSA\n",
    "ssa_stream.model.ssa": "from ssa_stream.errors import ShapeError\nfrom ssa_stream import __version__\n",
    "ssa_stream.viz": "def draw():\n    from ssa_stream import model\n",
    "ssa_stream.nodes": '"""Nodes."""\n',
    "ssa_stream.nodes.masks": "import ssa_stream.viz\nfrom ssa_stream.model.ssa import SSA\n",
}


def test_importers_are_modules_whatever_the_form_of_the_import() -> None:
    """A name out of a module, a module out of a package, a plain import, and an import in a function."""
    assert importers(_SOURCES) == {
        "ssa_stream": {"ssa_stream.model.ssa"},
        "ssa_stream.errors": {"ssa_stream.model.ssa"},
        "ssa_stream.model": {"ssa_stream.viz"},
        "ssa_stream.model.ssa": {"ssa_stream.model", "ssa_stream.nodes.masks"},
        "ssa_stream.viz": {"ssa_stream.nodes.masks"},
        "ssa_stream.nodes": set(),
        "ssa_stream.nodes.masks": set(),
    }


def test_folder_imports_leave_out_errors_and_the_folder_itself() -> None:
    """Nodes are shown one by one, other folders whole."""
    assert folder_imports(_SOURCES) == {"model": set(), "viz": {"model"}, "nodes/masks": {"viz", "model"}}


def test_folder_imports_in_a_circle_are_refused() -> None:
    """The circle is named."""
    with pytest.raises(graphlib.CycleError, match="cycle") as caught:
        folder_imports({"ssa_stream.model": "import ssa_stream.viz", "ssa_stream.viz": "import ssa_stream.model"})
    assert {"model", "viz"} <= set(caught.value.args[1])


def test_reduced_keeps_only_arrows_that_do_not_follow_from_others() -> None:
    """The long way stays, the short cuts go."""
    graph = {"a": {"b", "c", "d"}, "b": {"c"}, "c": {"d"}, "d": set()}
    assert reduced(graph) == {"a": {"b"}, "b": {"c"}, "c": {"d"}, "d": set()}


def test_picture_shows_nodes_in_a_box_of_their_own() -> None:
    """Every folder has a label, and the arrows that are left."""
    assert picture(folder_imports(_SOURCES)).splitlines() == [
        "```mermaid",
        "flowchart TD",
        "    subgraph nodes",
        "        direction TB",
        '        nodes_masks["masks"]',
        "    end",
        '    model["model"]',
        '    viz["viz"]',
        "    nodes_masks --> viz",
        "    viz --> model",
        "```",
    ]


def test_with_picture_replaces_what_stands_between_the_marks() -> None:
    """The rest of the document stays; a second run changes nothing."""
    written = with_picture(f"before\n{BEGIN}\nold\n{END}\nafter\n", "new")
    assert written == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"
    assert with_picture(written, "new") == written


def test_with_picture_without_marks_is_refused() -> None:
    """Nothing is written into a document that has no place for it."""
    with pytest.raises(ValueError, match="once each"):
        with_picture("before\n", "new")


def test_report_names_modules_with_one_importer() -> None:
    """The figures and the list."""
    lines = report(_SOURCES).splitlines()
    assert lines[0] == "7 modules, 10 lines"
    assert lines[1] == "0 modules of more than 250 lines"
    assert lines[2] == "4 modules with exactly one importer:"
    assert "  ssa_stream.viz <- ssa_stream.nodes.masks" in lines
