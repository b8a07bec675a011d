"""A card's tables come from reports, and from nothing else."""

from pathlib import Path

import pytest

from ssa_stream.evaluation import EvaluationReport, report_to_json
from ssa_stream.evaluation.report import GroupFigures, RunSettings
from tools import model_card


def report(mode: str, control: str = "none", j_and_f: float = 0.5, *, complete: bool = True) -> EvaluationReport:
    """A report of two groups."""
    groups = tuple(
        GroupFigures(
            name=name, expressions=count, j=0.1, f=0.2, j_and_f=j_and_f + shift, presence_frames=0.9,
            presence_clips=0.8, no_target_accuracy=None, target_accuracy=0.75, occlusions=4,
            same_id_after_occlusion=0.5,
            id_switches_per_minute=1.25,
        )
        for name, count, shift in (("all", 7, 0.0), ("motion", 3, 0.25))
    )  # fmt: skip
    settings = RunSettings(
        mode=mode, control=control, model="m", data="val", fps=12.0, limit=None, window=8, half_life_frames=16.0,  # type: ignore[arg-type]
        lookahead=0, selection="multi", threshold=0.5, short_edge_px=None, model_ms=None,
    )  # fmt: skip
    return EvaluationReport(settings=settings, complete=complete, groups=groups, clips=())


def test_tables_show_modes_and_controls_side_by_side() -> None:
    """One column a mode; the controls of the first mode in a table of their own."""
    text = model_card.tables([report("causal", j_and_f=0.4), report("offline"), report("offline", "shuffle", 0.125)])
    assert "|  | sentences | offline | causal |" in text
    assert "| motion | 3 | 75.0 | 65.0 |" in text
    assert "| causal | 90.0 | - | 75.0 | 1.2 | 50.0 of 4 |" in text
    assert "|  | sentences | as written | another video's |" in text
    assert "| all | 7 | 50.0 | 12.5 |" in text


def test_tables_of_incomplete_report_are_refused() -> None:
    """Half of the sentences may be the easy half."""
    with pytest.raises(SystemExit, match="not complete"):
        model_card.tables([report("offline", complete=False)])


def test_card_keeps_what_stands_around_the_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what lies between the marks is replaced, however often."""
    card, file = tmp_path / "card.md", tmp_path / "a.json"
    card.write_text(f"# m\n\n{model_card.BEGIN}old{model_card.END}\nrest\n")
    file.write_bytes(report_to_json(report("offline")))
    monkeypatch.setattr("sys.argv", ["model_card.py", str(card), str(file)])
    model_card.main()
    once = card.read_text()
    model_card.main()
    assert card.read_text() == once
    assert once.startswith("# m\n\n")
    assert once.endswith("\nrest\n")
    assert "old" not in once
