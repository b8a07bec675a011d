"""Scoring stored predictions through the installed command line."""

from pathlib import Path

import pytest

from ssa_stream.evaluation.score.report import read_score_report
from tests.support.command_line import run_command
from tests.support.data_sets import DATA_SETS, ROOTS, expected

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("warm_python")]

FAULTY = DATA_SETS / "mevis/predictions/valid_u_faulty"


def test_score_prints_figures_and_deviations_and_writes_all_of_them(tmp_path: Path) -> None:
    """The table has the published figures in per cent; dropped sentences are named; an existing report is kept."""
    command = ("score", "--data", f"mevis:{ROOTS['mevis']}", "--predictions", FAULTY, "--json", "report.json")
    done = run_command(*command, "--split", "valid_u", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    published = expected("mevis")["results"]["valid_u_faulty"]
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["published", "8", *(f"{100 * published[name]:.2f}" for name in ("J", "F", "J&F"))] in rows
    assert all(f"  {name}: " in done.stdout for name in ("5e0d7c31b2a9/1", "5e0d7c31b2a9/2", "3c2d1e0f9a8b/0"))
    report = read_score_report(tmp_path / "report.json")
    assert report.figures["J&F"] == pytest.approx(published["J&F"], abs=1e-9)
    assert report.variants["strict"].counts["n_scored"] == 11
    again = run_command(*command, cwd=tmp_path)
    assert again.returncode == 2
    assert "exists already" in again.stderr
