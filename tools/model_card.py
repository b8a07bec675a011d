"""Write the tables of a model card from reports of `ssa-stream eval --json`.

python tools/model_card.py ssa_stream/checkpoints/weights/ssa-tiny.md card/*.json
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ssa_stream.evaluation import EvaluationMode, EvaluationReport, GroupFigures, report_from_json

BEGIN, END = "<!-- tables: tools/model_card.py -->\n", "<!-- end of tables -->\n"
MODES: tuple[EvaluationMode, ...] = ("offline", "windowed", "causal")
CONTROLS = {"none": "as written", "shuffle": "another video's", "object": 'the word "object"'}


def main() -> None:
    """Read reports, replace the tables of the card."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("card", type=Path, help="Markdown file with the two marks between which the tables stand")
    parser.add_argument("reports", type=Path, nargs="+", help="reports of one model on one data set")
    options = parser.parse_args()
    reports = [_read(path) for path in options.reports]
    text = options.card.read_text(encoding="utf-8")
    before, mark, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (mark and end):
        raise SystemExit(f"error: {options.card} has no place for tables; expected the lines {BEGIN!r} and {END!r}")
    options.card.write_text(before + BEGIN + tables(reports) + END + after, encoding="utf-8")


def tables(reports: Sequence[EvaluationReport]) -> str:
    """Markdown of all tables: figures by type and mode, identity, and what the model does with other sentences.

    Raises:
        SystemExit: Reports are incomplete or of different data.
    """
    if len({(report.settings.model, report.settings.data, report.overall.expressions) for report in reports}) != 1:
        raise SystemExit("error: the reports are of different models or data; expected one of each")
    if not all(report.complete for report in reports):
        raise SystemExit("error: a report is not complete; let ssa-stream eval run to its end")
    by_mode = {r.settings.mode: r for r in reports if r.settings.control == "none"}
    modes: dict[str, EvaluationReport] = {mode: by_mode[mode] for mode in MODES if mode in by_mode}
    parts = ["\nJ&F by type of sentence, per cent:\n\n", _by_group(modes, lambda g: _percent(g.j_and_f))]
    parts += ["\nPresence and identity, all sentences:\n\n", _overall(modes)]
    first = next(iter(modes))
    controls = {
        words: report
        for control, words in CONTROLS.items()
        for report in reports
        if report.settings.control == control and report.settings.mode == first
    }
    if len(controls) > 1:
        parts += [
            f"\nThe same model, {first}, asked with other words; if sentences did not matter, the columns would be "
            "equal:\n\n",
            _by_group(controls, lambda g: _percent(g.j_and_f)),
        ]
    return "".join(parts) + "\n"


def _by_group(reports: Mapping[str, EvaluationReport], show: Callable[[GroupFigures], str]) -> str:
    """One row a group, one column a report."""
    first = next(iter(reports.values()))
    rows = [
        [group.name, str(group.expressions), *(_of(report, group.name, show) for report in reports.values())]
        for group in first.groups
    ]
    return _table(["", "sentences", *reports], rows)


def _overall(reports: Mapping[str, EvaluationReport]) -> str:
    columns: dict[str, Callable[[GroupFigures], str]] = {
        "presence, frames": lambda g: _percent(g.presence_frames),
        "N-acc": lambda g: _percent(g.no_target_accuracy),
        "T-acc": lambda g: _percent(g.target_accuracy),
        "id switches a minute": _switches,
        "same id after occlusion": _same_id,
    }
    rows = [[mode, *(show(report.overall) for show in columns.values())] for mode, report in reports.items()]
    return _table(["", *columns], rows)


def _switches(group: GroupFigures) -> str:
    return "-" if group.id_switches_per_minute is None else f"{group.id_switches_per_minute:.1f}"


def _same_id(group: GroupFigures) -> str:
    return f"{_percent(group.same_id_after_occlusion)} of {group.occlusions}" if group.occlusions else "-"


def _of(report: EvaluationReport, name: str, show: Callable[[GroupFigures], str]) -> str:
    group = report.group(name)
    return "-" if group is None else show(group)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *("---:" for _ in head[1:])], *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _read(path: Path) -> EvaluationReport:
    report = report_from_json(path.read_bytes())
    if not isinstance(report, EvaluationReport):
        raise SystemExit(f"error: {path} is a report of another protocol; expected one of --protocol mevis")
    return report


if __name__ == "__main__":
    main()
