"""Tables 8 and 9: published figures are data with their source, measured rows come below, others are refused."""

import csv
import io
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from ssa_stream.cli.main import app, exit_code
from ssa_stream.errors import ConfigError, SsaStreamError
from ssa_stream.evaluation.score.report import Deviation, ScoreReport, Variant, score_to_json
from ssa_stream.evaluation.tables.comparison import compare, read_results
from ssa_stream.evaluation.tables.layouts import to_csv, to_latex, to_markdown
from ssa_stream.evaluation.tables.published import FIGURES, published_table

RUNNER = CliRunner()
ORDER = "LBDT MTTR ReferFormer OnlineRefer HTML SgMg TempCD SOC LoSh DsHmp SSA".split()
MEASURED = dict(zip(FIGURES, (0.875, 0.75, 0.5, 0.25, 0.0, 0.7777, 0.6666, 0.55555), strict=True))


def write_report(
    path: Path, data: str = "a2d-sentences", split: str = "test", mean_ap: float | None = MEASURED["mAP 0.5:0.95"]
) -> Path:
    """A file as `score --json` writes it, with the figures of `MEASURED`."""
    shares: dict[str, float | None] = {**MEASURED, "mAP 0.5:0.95": mean_ap}
    variant = Variant(about="published", figures=shares)
    deviation = Deviation(about="sample", text="no answer", published="counted as wrong", strict="counted as wrong")
    report = ScoreReport(
        data=data,
        split=split,
        root="data",
        predictions="out/a2d.json",
        figures=shares,
        variants={"published": variant},
        deviations=(deviation,),
    )
    path.write_bytes(score_to_json(report))
    return path


def stored() -> Any:
    """The file of published figures, as it is packaged."""
    return json.loads((files("ssa_stream.evaluation.tables") / "published.json").read_text("utf-8"))


@pytest.mark.parametrize("name", ["table8", "table9"])
def test_published_rows_have_sources_and_make_sense(name: str) -> None:
    """Every figure was read in a named text; precision falls with the threshold; two texts do not contradict."""
    content = stored()
    seen: dict[tuple[str, str], float] = {}
    for reading in content["tables"][name]["readings"]:
        assert content["texts"][reading["checked"]]
        assert reading["method"] in ORDER
        for figure, value in reading["figures"].items():
            assert figure in FIGURES
            assert 0 <= value <= 100
            assert seen.setdefault((reading["method"], figure), value) == value
    rows = published_table(name).rows
    assert [row.method for row in rows] == ORDER
    for row in rows:
        assert row.checked or not (row.figures or row.backbone)
        precisions = [row.figures[figure] for figure in list(FIGURES)[:5] if figure in row.figures]
        assert precisions == sorted(precisions, reverse=True)


def test_measured_row_comes_last_in_per_cent_with_its_file(tmp_path: Path) -> None:
    """And says that it was measured here."""
    path = write_report(tmp_path / "mine.json", mean_ap=None)
    table = compare(published_table("table8"), read_results([f"my run={path}"]))
    row = table.rows[-1]
    assert (row.method, row.is_measured) == ("my run", True)
    assert row.figures[:5] == (87.5, 75.0, 50.0, 25.0, 0.0)
    assert row.figures[7] == "n/a"
    source = table.references[row.references[0] - 1]
    assert source.startswith(f"measured here: {path}")
    assert "1 deviations" in source
    assert not any(one.is_measured for one in table.rows[:-1])
    assert sum(note.startswith("n/a: ") for note in table.notes) == 1


def test_figures_that_were_not_found_are_counted_and_no_blanks() -> None:
    """A question mark is not a dash."""
    table = compare(published_table("table8"), [])
    missing = [cell for row in table.rows for cell in row.figures if isinstance(cell, str)]
    assert set(missing) == {"?"}
    assert any(f"{len(missing)} of 88 published figures" in note for note in table.notes)
    assert not any(note.startswith("-: ") for note in table.notes)


def test_blank_of_the_paper_is_a_dash() -> None:
    """Where the file says that the paper has none."""
    published = published_table("table9")
    row = next(row for row in published.rows if row.method == "HTML")
    blank = msgspec.structs.replace(row, blanks=tuple(FIGURES))
    rows = tuple(blank if one is row else one for one in published.rows)
    table = compare(msgspec.structs.replace(published, rows=rows), [])
    assert table.rows[ORDER.index("HTML")].figures == ("-",) * len(FIGURES)
    assert "-: blank in the paper." in table.notes


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"data": "jhmdb-sentences"}, "is of jhmdb-sentences, split test; table 8 is of a2d-sentences"),
        ({"split": "train"}, "split train"),
    ],
)
def test_result_of_another_data_set_is_refused(change: dict[str, str], words: str, tmp_path: Path) -> None:
    """With what came, what was expected and which command gives it."""
    path = write_report(tmp_path / "other.json", change.get("data", "a2d-sentences"), change.get("split", "test"))
    with pytest.raises(ConfigError, match=words) as caught:
        compare(published_table("table8"), read_results([str(path)]))
    assert "score --data a2d-sentences:DIR --split test --json FILE" in str(caught.value)


def test_report_without_a_figure_is_refused(tmp_path: Path) -> None:
    """Of an empty set, or of other figures."""
    path = tmp_path / "empty.json"
    report = ScoreReport(data="a2d-sentences", split="test", root="d", predictions="p", figures={}, variants={})
    path.write_bytes(score_to_json(report))
    with pytest.raises(ConfigError, match=r"has no figure P@0\.5, P@0\.6"):
        compare(published_table("table8"), read_results([str(path)]))


def test_names_of_rows(tmp_path: Path) -> None:
    """NAME=FILE, --name in order, else the file's name; a file may have an equals sign in its name."""
    plain, odd = write_report(tmp_path / "run1.json"), write_report(tmp_path / "lr=3.json")
    assert [one.name for one in read_results([str(plain), str(odd), f"x={plain}"])] == ["run1", "lr=3", "x"]
    assert [one.name for one in read_results([str(plain), f"x={plain}"], ["a\nb"])] == ["a\\x0ab", "x"]
    with pytest.raises(ConfigError, match=r"2 names .* for 1 results"):
        read_results([str(plain)], ["a", "b"])


def test_layouts_hold_the_same_rows_and_escape_names(tmp_path: Path) -> None:
    """Markdown with one decimal, CSV with all digits, LaTeX without characters that it reads as commands."""
    path = write_report(tmp_path / "r.json")
    table = compare(published_table("table9"), read_results([]))
    assert "slip for P@0.8" in to_markdown(table)
    table = compare(published_table("table8"), read_results([f"a|b_5%={path}"]))
    lines = to_markdown(table).splitlines()
    assert sum(line.startswith("| ") for line in lines) == 2 + len(ORDER) + 1
    assert any(line.startswith("| a\\|b\\_5% |  | 87.5 | 75.0 |") and "measured here [" in line for line in lines)
    rows = list(csv.reader(io.StringIO(to_csv(table))))
    assert {len(row) for row in rows} == {len(FIGURES) + 4}
    assert rows[-1][0] == "a|b_5%"
    assert float(rows[-1][9]) == pytest.approx(55.555)
    assert rows[-1][10] == "measured here"
    latex = to_latex(table)
    assert r"a|b\_5\% &  & 87.5" in latex
    assert latex.count(" \\\\\n\\midrule") == 2
    assert "\n[" not in latex  # LaTeX would take it for an option of the line before


def test_command_writes_a_table_and_keeps_files(tmp_path: Path) -> None:
    """To standard output or to a file, which is replaced only when asked."""
    path, out = write_report(tmp_path / "mine.json"), tmp_path / "table.md"
    shown = RUNNER.invoke(app, ["report", "table8", f"mine={path}"])
    assert shown.exit_code == 0
    assert "| mine |" in shown.output
    arguments = ["report", "table8", str(path), "--name", "mine", "-o", str(out)]
    assert RUNNER.invoke(app, arguments).exit_code == 0
    assert out.read_text("utf-8") == shown.stdout
    again = RUNNER.invoke(app, arguments)
    assert isinstance(again.exception, SsaStreamError)
    assert RUNNER.invoke(app, [*arguments, "--overwrite"]).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["table8", "{text}"], "cannot be read as a report"),
        (["table8", "{gone}"], "gone is missing; give what"),
        (["table8", "{report}", "-o", "{report}", "--overwrite"], "report"),
    ],
)
def test_command_refuses_wrong_files(arguments: list[str], words: str, tmp_path: Path) -> None:
    """One clear error each."""
    (tmp_path / "text").write_text("no report", "utf-8")
    places = {name: str(tmp_path / name) for name in ("text", "gone", "report")}
    write_report(tmp_path / "report")
    result = RUNNER.invoke(app, ["report", *(one.format(**places) for one in arguments)])
    assert isinstance(result.exception, SsaStreamError)
    assert words in str(result.exception)
    assert str(result.exception).count("expected") <= 1
    assert "Errno" not in str(result.exception)


def test_no_report_is_failed_work_and_a_missing_one_wrong_use(tmp_path: Path) -> None:
    """As everywhere: a name that is wrong ends with 2, what is in a file with 1. Names of rows may be long."""
    (tmp_path / "other").write_text('{"data": "a2d-sentences"}', "utf-8")
    (tmp_path / "digits").write_text("1" * 5000, "utf-8")
    codes = {}
    for name in ("other", "digits", "gone"):
        with pytest.raises(ConfigError) as caught:
            read_results([f"{'x' * 2000}={tmp_path / name}"])
        codes[name] = exit_code(caught.value)
        assert "sys." not in str(caught.value)
    assert codes == {"other": 1, "digits": 1, "gone": 2}


def test_names_of_rows_are_no_formulas_for_spreadsheets(tmp_path: Path) -> None:
    """A name may begin as a formula does; others stay as they are."""
    path = write_report(tmp_path / "r.json")
    table = compare(published_table("table8"), read_results([str(path), str(path)], ["=1+1", "a=1"]))
    assert [row[0] for row in csv.reader(io.StringIO(to_csv(table)))][-2:] == ["'=1+1", "a=1"]


def test_command_refuses_an_unknown_format() -> None:
    """As every wrong option: exit code 2."""
    assert RUNNER.invoke(app, ["report", "table8", "--format", "html"]).exit_code == 2
