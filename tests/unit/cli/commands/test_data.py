"""`ssa-stream data check` and `ssa-stream data show` as a user meets them."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssa_stream.cli.main import main
from tests.support.data_sets import ROOTS

MEVIS, REFCOCO, A2D = str(ROOTS["mevis"]), str(ROOTS["refcoco"]), str(ROOTS["a2d-sentences"])


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands run in a folder of their own, on a wide terminal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Run the console script in this process."""
    monkeypatch.setattr(sys, "argv", ["ssa-stream", "data", *words])
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.mark.parametrize("place", [("mevis", MEVIS), (f"mevis:{MEVIS}",)], ids=["two-words", "one-word"])
def test_check_prints_a_row_for_each_split_and_warns_of_other_counts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], place: tuple[str, ...]
) -> None:
    """Nothing is wrong with a set that is smaller than the published one."""
    assert run(monkeypatch, "check", *place) == 0
    out, err = capsys.readouterr()
    rows = [line.split() for line in out.splitlines()]
    assert ["valid_u", "4", "11", "0", "0", "8", "22", "22", "0", "4", "0"] in rows
    assert out.splitlines()[-1] == "6 videos were read without a problem; but 3 warnings tell of counts that differ"
    assert "split valid_u: 4 videos and not 50, 11 sentences and not 793, as published" in err


def test_check_ends_with_code_1_and_names_the_file_that_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """On stdout, and in JSON."""
    shutil.copytree(MEVIS, "set")
    Path("set/valid_u/JPEGImages/5e0d7c31b2a9/00002.jpg").unlink()
    assert run(monkeypatch, "check", "mevis", "set", "--split", "valid_u", "--all", "--workers", "1") == 1
    out = capsys.readouterr().out
    assert "valid_u, 5e0d7c31b2a9: set/valid_u/JPEGImages/5e0d7c31b2a9/00002.jpg is missing" in out
    assert out.splitlines()[-1].startswith("1 problems: ")
    words = ("check", "mevis", "set", "--split", "valid_u", "--all", "--workers", "1", "--json", "found.json")
    assert run(monkeypatch, *words) == 1
    found = json.loads((tmp_path / "found.json").read_text())
    assert (found["kind"], found["version"], found["is_usable"]) == ("data_check", 1, False)
    assert found["splits"][0]["problems"][0]["about"] == "5e0d7c31b2a9"
    assert run(monkeypatch, *words) == 2
    assert "--overwrite" in capsys.readouterr().err


def test_check_of_a_folder_that_holds_something_else_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And of a kind, a folder or a split that there is not: wrong usage."""
    assert run(monkeypatch, "check", "jhmdb-sentences", MEVIS) == 1
    out, err = capsys.readouterr()
    assert "no split of jhmdb-sentences is in" in out
    assert "split test" in err
    assert run(monkeypatch, "check", "mevvis", MEVIS) == 2
    assert "KIND is one of a2d-sentences" in capsys.readouterr().err
    assert run(monkeypatch, "check", "mevis", "nowhere") == 2
    assert run(monkeypatch, "check", "mevis", MEVIS, "--split", "testA") == 2


@pytest.mark.parametrize(
    ("words", "cells"),
    [
        (("mevis", MEVIS, "5e0d7c31b2a9/1"), (4, 1)),
        ((f"mevis:{MEVIS}", "5e0d7c31b2a9"), (4, 4)),
        (("mevis", MEVIS, "missing00001/0", "--split", "valid_u"), (4, 1)),
        (("refcoco", REFCOCO, "COCO_train2014_000000112638/1"), (1, 1)),
        (("refcoco+", REFCOCO, "2", "--split", "testA"), (1, 1)),
        (("a2d-sentences", A2D, "v_sqU4reExact_f_9_i_1"), (1, 1)),
    ],
    ids=["sentence", "video", "split", "picture", "sample-number", "sample-name"],
)
def test_show_draws_a_row_of_frames_for_each_sentence(
    monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], cells: tuple[int, int]
) -> None:
    """Whatever of the data set is named; a cell is 384 pixels wide, and has a few lines of text below it."""
    assert run(monkeypatch, "show", *words, "-o", "shown.png") == 0
    with Image.open("shown.png") as picture:
        assert picture.width == 6 + 390 * cells[0]
        assert round(picture.height / 350) == cells[1]


def test_show_outlines_targets_in_colours_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blue where the first target is, orange where the second one is."""
    from ssa_stream.data import KINDS, DataPlace, open_data
    from ssa_stream.viz.colours import PALETTE

    assert run(monkeypatch, "show", "mevis", MEVIS, "5e0d7c31b2a9/1", "-o", "shown.png") == 0
    pixels = np.asarray(Image.open("shown.png"))
    data = open_data(DataPlace(KINDS["mevis"], ROOTS["mevis"]), "valid_u")
    expression = data.video("5e0d7c31b2a9").expressions[1]
    first = data.masks("5e0d7c31b2a9", expression, [5])[:, 0]
    scale = 384 / first.shape[2]
    cell = pixels[6 : 6 + round(first.shape[1] * scale), 6 + 3 * 390 : 6 + 3 * 390 + 384]
    for number, mask in enumerate(first):
        rows, columns = np.nonzero((cell == PALETTE[number]).all(axis=2))
        assert len(rows) > 100
        assert mask[(rows / scale).astype(int), (columns / scale).astype(int)].mean() > 0.99


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("5e0d7c31b2a9/77",), "5e0d7c31b2a9 has no sentence '77'; expected one of 0, 1"),
        (("lost",), "nothing in this split is called 'lost'; expected a video, such as"),
        (("5e0d7c31b2a9/0", "-o", "shown.mp4"), "pictures have no ending"),
        (("5e0d7c31b2a9/0", "--split", "dev"), "has no split 'dev'"),
    ],
    ids=["sentence", "video", "ending", "split"],
)
def test_show_says_what_there_is_instead(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], says: str
) -> None:
    """One line, and no picture."""
    assert run(monkeypatch, "show", "mevis", MEVIS, *words) == 2
    assert says in capsys.readouterr().err
    assert not list(Path.cwd().iterdir())


def test_show_does_not_replace_a_picture_unasked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As all commands."""
    words = ("show", "mevis", MEVIS, "5e0d7c31b2a9/0")
    assert run(monkeypatch, *words) == 0
    assert run(monkeypatch, *words) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert run(monkeypatch, *words, "--overwrite") == 0


def test_no_output_replaces_a_file_of_the_data_set_though_it_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither the picture nor the report."""
    shutil.copytree(MEVIS, "set")
    victim = Path("set/valid_u/JPEGImages/5e0d7c31b2a9/00002.jpg")
    content = victim.read_bytes()
    assert run(monkeypatch, "show", "mevis", "set", "5e0d7c31b2a9/0", "--overwrite", "-o", str(victim)) == 2
    assert run(monkeypatch, "check", "mevis", "set", "--overwrite", "--json", str(victim)) == 2
    assert capsys.readouterr().err.count("the data set") == 2
    assert victim.read_bytes() == content
