"""Curves of a training run."""

from pathlib import Path

import pytest

from tools import plot_training


def test_plot_is_drawn_from_the_tables_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stages in order of their steps, whatever their names."""
    (tmp_path / "train_b.csv").write_text("step,loss\n20,4.0\n40,3.0\n")
    (tmp_path / "train_a.csv").write_text("step,loss\n60,2.0\n")
    (tmp_path / "validation_a.csv").write_text("step,J&F,motion\n60,0.5,0.25\n")
    table = plot_training.columns(tmp_path, "train", ["loss"])
    assert list(table) == ["b", "a"]
    assert table["b"]["loss"] == ([20.0, 40.0], [4.0, 3.0])
    monkeypatch.setattr("sys.argv", ["plot_training.py", str(tmp_path), "-o", str(tmp_path / "curves.png")])
    plot_training.main()
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_plot_of_a_folder_without_run_says_what_was_expected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Most likely the wrong folder."""
    monkeypatch.setattr("sys.argv", ["plot_training.py", str(tmp_path), "-o", str(tmp_path / "curves.png")])
    with pytest.raises(SystemExit, match="folder of a run"):
        plot_training.main()
