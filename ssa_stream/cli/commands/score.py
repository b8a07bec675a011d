"""`ssa-stream score`: score stored predictions as the published scorers do."""

from pathlib import Path
from typing import Annotated

import typer

from ssa_stream.cli.options.files import Overwrite, named
from ssa_stream.cli.options.logs import LogFormatOption, LogLevelOption, use_log_options
from ssa_stream.cli.options.summary import write_or_print
from ssa_stream.cli.views.console import notice, progress_bar
from ssa_stream.cli.views.score_tables import print_score
from ssa_stream.outputs import check_outputs

__all__ = ["score"]


def score(
    data: Annotated[str, typer.Option(metavar="KIND:DIR", help="Data set and its root, such as mevis:data/mevis.")],
    predictions: Annotated[Path, typer.Option(help="Folder of pictures, or results file: anybody's.")],
    split: Annotated[str | None, typer.Option(help="Split of the data set. [default: the one that is scored]")] = None,
    truth: Annotated[
        Path | None,
        typer.Option(help="Folder of masks that the data set lacks: Ref-YouTube-VOS' valid split.", show_default=False),
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes. [default: one a core]")] = None,
    json: Annotated[Path | None, typer.Option(help="Write every figure there.", rich_help_panel="Output")] = None,
    overwrite: Overwrite = False,
    log_format: LogFormatOption = "text",
    log_level: LogLevelOption = "info",
) -> None:
    """Score stored predictions, anybody's, with the figures of the published scorer.

    What that scorer leaves out, or what makes it stop, is listed by name, with the figures of a strict count beside it.
    docs/evaluation.md defines every figure.

        ssa-stream score --data mevis:data/mevis --split valid_u --predictions out --json mevis.json
    """
    use_log_options("score", log_format, log_level)
    from ssa_stream.data.kinds import parse_data
    from ssa_stream.evaluation.score.report import score_to_json
    from ssa_stream.evaluation.score.request import ScoreRequest, truth_beside
    from ssa_stream.evaluation.score.scoring import score_predictions

    check_outputs(named(json=json), named(predictions=predictions), overwrite=overwrite)
    place = parse_data(data)
    if truth is None and (truth := truth_beside(place, split)) is not None:
        notice(f"truth: {truth}", event="truth", folder=truth)
    request = ScoreRequest(place, split, predictions, truth, workers)
    with progress_bar() as progress:
        task = progress.add_task("scoring", total=None)
        report = score_predictions(request, lambda done, total: progress.update(task, completed=done, total=total))
    print_score(report)
    if json is not None:
        write_or_print(json, score_to_json(report).decode(), overwrite=overwrite)
        notice(f"wrote {json}", event="written", file=json)
