"""Making a data set and scoring a model on it, through the installed command line."""

import signal
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from ssa_stream.data import MevisReader
from ssa_stream.evaluation import EvaluationReport, SingleObjectReport, report_from_json
from tests.support.command_line import CONSOLE_SCRIPT, read_until, run_command, running, write_tiny_config
from tests.support.data_sets import ROOTS

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("warm_python")]

VIDEOS, FRAMES = 3, 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a data set, `val`, and a small network's configuration."""
    path = tmp_path_factory.mktemp("eval")
    done = run_command(
        "data", "synth", "--split", "val", "--seed", "7", "--videos", str(VIDEOS), "--frames", str(FRAMES),
        "--height", "48", "--width", "80", "--out", "val", cwd=path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"{VIDEOS} videos" in done.stderr
    write_tiny_config(path)
    return path


def _arguments(folder: Path, *more: str) -> list[str]:
    model = ["--random-weights", "--model", str(folder / "tiny.yaml"), "--device", "cpu"]
    return ["eval", "--data", str(folder / "val"), *model, *more]


def test_synth_writes_what_was_asked_for(folder: Path) -> None:
    """Names carry split and seed."""
    reader = MevisReader(folder / "val")
    assert reader.videos == ("val00000007", "val00000008", "val00000009")
    assert reader.frames("val00000007").shape == (FRAMES, 48, 80, 3)


def test_eval_prints_a_table_and_writes_report_and_sheet(folder: Path, tmp_path: Path) -> None:
    """The same command gives the same report, byte for byte; whole rows, though no terminal is there."""
    command = _arguments(folder, "--mode", "causal", "--json", "report.json")
    first = run_command(*command, "--sheet", "sheet.png", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    content = (tmp_path / "report.json").read_bytes()
    report = report_from_json(content)
    assert isinstance(report, EvaluationReport)
    assert report.complete
    assert report.overall.expressions == len(report.clips)
    rows = {line.split()[0]: line.split() for line in first.stdout.splitlines() if line.split()}
    assert rows["all"][1:3] == [str(report.overall.expressions), f"{100 * report.overall.j_and_f:.1f}"]
    assert {"appearance", "no_target", "seen"} <= set(rows)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 4 * 320
    run_command(*command, cwd=tmp_path)
    assert (tmp_path / "report.json").read_bytes() == content


def test_eval_controls_and_limit(folder: Path, tmp_path: Path) -> None:
    """The model is told something else; what is right stays as it is."""
    for control in ("shuffle", "object"):
        arguments = ("--mode", "windowed", "--window", "3", "--control", control, "--limit", "9", "--overwrite")
        done = run_command(*_arguments(folder, *arguments, "--json", "r.json"), cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        report = report_from_json((tmp_path / "r.json").read_bytes())
        assert isinstance(report, EvaluationReport)
        assert len(report.clips) == 9
        assert all(clip.asked != clip.sentence for clip in report.clips)
        assert f"control: {control}" in done.stdout


def test_eval_realtime_with_given_time_drops_frames(folder: Path, tmp_path: Path) -> None:
    """200 ms a frame at 10 frames per second."""
    arguments = ("--mode", "realtime", "--model-ms", "200", "--fps", "10", "--eta", "0", "--eta=-2", "--limit", "3")
    done = run_command(*_arguments(folder, *arguments, "--json", "r.json"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    report = report_from_json((tmp_path / "r.json").read_bytes())
    assert isinstance(report, EvaluationReport)
    assert report.timing is not None
    assert (report.timing.frames, report.timing.frames_processed) == (18, 12)  # 0, 2, 4, 5
    assert [score.eta for score in report.overall.streaming] == [0, -2]
    assert "12 of 18 frames" in done.stdout


def test_eval_single_object_protocol(folder: Path, tmp_path: Path) -> None:
    """P@K, IoU and mAP."""
    done = run_command(*_arguments(folder, "--protocol", "a2d", "--json", "r.json"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    report = report_from_json((tmp_path / "r.json").read_bytes())
    assert isinstance(report, SingleObjectReport)
    assert report.groups[0].figures.samples > FRAMES
    assert "P@.5" in done.stdout


def test_eval_of_a_public_data_set_scores_what_is_annotated(folder: Path, tmp_path: Path) -> None:
    """By the protocol of its kind: single frames of objects, or J&F of whole videos."""
    places = {"jhmdb-sentences": ROOTS["jhmdb-sentences"], "ref-davis17": ROOTS["ref-davis17-converted"]}
    for kind, root in places.items():
        arguments = ("--data", f"{kind}:{root}", "--window", "2", "--limit", "2", "--json", "r.json", "--overwrite")
        done = run_command(*_arguments(folder, *arguments), cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        report = report_from_json((tmp_path / "r.json").read_bytes())
        if isinstance(report, SingleObjectReport):
            assert (kind, report.groups[0].figures.samples) == ("jhmdb-sentences", 6)
            assert report.settings.data == "jhmdb-sentences/test"
        else:
            assert (kind, len(report.clips)) == ("ref-davis17", 2)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (["--model-ms", "20"], "--mode realtime"),
        (["--protocol", "a2d", "--mode", "causal"], "offline or windowed"),
        (["--data", "nowhere"], "meta_expressions.json is missing"),
        (["--split", "test"], "--split belongs to a public data set"),
    ],
    ids=["model_ms", "a2d_causal", "no_data", "split"],
)
def test_eval_wrong_options_are_told(folder: Path, tmp_path: Path, wrong: list[str], told: str) -> None:
    """Before a model is loaded, with the exit code of wrong usage."""
    done = run_command(*_arguments(folder, *wrong), cwd=tmp_path)
    assert done.returncode == 2
    assert told in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP], ids=["ctrl-c", "closed terminal"])
def test_eval_interrupted_prints_what_is_done(folder: Path, tmp_path: Path, number: signal.Signals) -> None:
    """After the first sentence of many."""
    command = _arguments(folder, "--mode", "causal", "--batch", "1", "--short-edge", "320", "--json", "r.json")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with running([CONSOLE_SCRIPT, *command], cwd=tmp_path, **pipes) as process:
        read_until(process.stderr, "evaluated 1 of")
        process.send_signal(number)
        table, rest = process.communicate(timeout=120)
    assert process.returncode == 0, rest
    assert "ended by Ctrl-C" in rest
    assert "not complete" in table
    report = report_from_json((tmp_path / "r.json").read_bytes())
    assert isinstance(report, EvaluationReport)
    assert not report.complete
    assert 1 <= len(report.clips) < VIDEOS * 5
