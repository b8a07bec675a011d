"""From raw data to a table, as a user does it: predict, score, report, for every protocol."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ssa_stream.data import open_data, parse_data
from tests.support.command_line import run_command
from tests.support.data_sets import ROOTS

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300), pytest.mark.usefixtures("warm_python")]

PROTOCOLS = {
    "a2d-sentences": ("a2d-sentences", "a2d-sentences", "test"),
    "jhmdb-sentences": ("jhmdb-sentences", "jhmdb-sentences", "test"),
    "mevis": ("mevis", "mevis", "valid_u"),
    "mevis-v2": ("mevis", "mevis-v2", "valid_u"),
    "ref-youtube-vos": ("ref-youtube-vos", "ref-youtube-vos", "train"),
    "ref-davis17": ("ref-davis17", "ref-davis17-raw", "valid"),
    "refcoco": ("refcoco", "refcoco", "val"),
}
TABLES = {"a2d-sentences": "table8", "jhmdb-sentences": "table9"}


def _ran(*arguments: str | Path, cwd: Path) -> str:
    """What a command printed that ended well."""
    done = run_command(*arguments, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _scored(place: str, split: str, predictions: Path, cwd: Path) -> Any:
    """The report of the command `score`."""
    file = cwd / f"{predictions.name}.json"
    options = ("--data", place, "--split", split, "--predictions", predictions, "--workers", "1", "--json", file)
    _ran("score", *options, cwd=cwd)
    return json.loads(file.read_text())


@pytest.mark.parametrize(("kind", "root", "split"), PROTOCOLS.values(), ids=PROTOCOLS)
def test_raw_data_becomes_masks_scores_and_a_table(kind: str, root: str, split: str, tmp_path: Path) -> None:
    """Every sentence or sample has its answer and nothing else is there; tables 8 and 9 show the measured figures."""
    place = f"{kind}:{ROOTS[root]}"
    options = (
        "--data",
        place,
        "--split",
        split,
        "--threads",
        "1",
        "--workers",
        "0",
        "--short-edge",
        "64",
        "-c",
        "ssa-tiny",
    )
    _ran("predict", *options, "-o", tmp_path / "out", cwd=tmp_path)
    report = _scored(place, split, tmp_path / "out", tmp_path)
    assert report["deviations"] == []
    data = open_data(parse_data(place), split)
    expressions = [(name, one) for name in data.videos for one in data.video(name).expressions]
    samples = {f"{name}/{one.expression_id}" for name, one in expressions if not one.sample_ids}
    samples |= {str(sample) for _, one in expressions for sample in one.sample_ids}
    assert set(next(iter(report["variants"].values()))["samples"]) == samples
    if root == "ref-davis17-raw":
        first_wins = _scored(place, split, tmp_path / "out" / "merged_first_wins", tmp_path)
        expected = report["variants"]["merged_by_SSA"]["figures"]
        assert first_wins["figures"] == expected
        assert {"merged_like_ReferFormer", "per_expression"} <= set(report["variants"])
    if kind in TABLES:
        table = _ran("report", TABLES[kind], f"tried here={tmp_path / 'out.json'}", cwd=tmp_path)
        (row,) = [line for line in table.splitlines() if "tried here" in line]
        assert f"{100 * report['figures']['overall_iou']:.1f}" in re.findall(r"[\d.]+", row)
