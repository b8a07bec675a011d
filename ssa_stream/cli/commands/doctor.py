"""`ssa-stream doctor`: whether this machine can run a graph, and what to do if not."""

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from ssa_stream.cli.views.console import output, print_json, shown, status

if TYPE_CHECKING:
    from ssa_stream.cli.checks.findings import Finding

__all__ = ["doctor"]

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "bold red"}
_FAILED = 1
_USUAL = "demo"
"""The pipeline that is looked at if none is named; its source is not tried."""


def doctor(
    pipeline: Annotated[
        str | None,
        typer.Argument(
            metavar="[PIPELINE]",
            help="A shipped pipeline or a YAML file, not running: its sources are tried, too.",
            show_default=False,
        ),
    ] = None,
    client: Annotated[bool, typer.Option("--client", help="This machine only subscribes to masks.")] = False,
    seconds: Annotated[
        float, typer.Option(min=0.1, max=600, help="How long each source of the pipeline is read.")
    ] = 3.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Look at this machine and say what is missing for a graph, and how to get it.

    Looked at are the installation, the weights, the GPU, cameras, ports, shared memory and the pipeline. Of a pipeline
    that is named, each source is opened and read for some seconds, all at once; also looked at are its outputs, its
    prompts and the disk. Nothing is changed or written. Exit codes: 0 if all that is needed works, 1 otherwise.

        ssa-stream doctor

        ssa-stream doctor my.yaml --seconds 10
    """
    from ssa_stream.cli.checks.facts import gather
    from ssa_stream.cli.checks.findings import CHECKS, CLIENT_CHECKS, PIPELINE_CHECKS, examine, examine_sources

    is_tried = pipeline is not None and not client
    with status(f"trying the sources for {seconds:g} s" if is_tried else "looking at this machine"):
        facts = gather(pipeline or _USUAL, seconds if is_tried else None)
    findings = list(examine(facts, CLIENT_CHECKS if client else CHECKS))
    if facts.tried is not None:
        findings += [*examine_sources(facts.tried.trials), *examine(facts, PIPELINE_CHECKS)]
    has_failed = any(finding.verdict == "fail" for finding in findings)
    if as_json:
        plain: dict[str, object] = {"ok": not has_failed, "findings": [asdict(finding) for finding in findings]}
        if facts.tried is not None:
            plain["sources"] = [asdict(trial) for trial in facts.tried.trials]
        print_json(plain, indent=2)
    else:
        _print(findings)
    if has_failed:
        raise typer.Exit(_FAILED)


def _print(findings: "list[Finding]") -> None:
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    for finding in findings:
        what = shown(finding.found)
        if finding.todo:
            what.append(shown(f"\n-> {finding.todo}", _COLOURS[finding.verdict]))
        table.add_row(Text(finding.verdict, style=_COLOURS[finding.verdict]), Text(finding.check), what)
    console = output()
    console.print(table)
    counts = Counter(finding.verdict for finding in findings)
    console.print(f"\n{counts['ok']} ok, {counts['warn']} could be better, {counts['fail']} to mend")
