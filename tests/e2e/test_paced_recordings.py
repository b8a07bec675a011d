"""A recording at its own pace: its pauses are played, however long they are."""

import json
import signal
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.command_line import CONSOLE_SCRIPT, run_command, running, write_tiny_config
from tests.support.lines import PATIENCE_S, Lines
from tests.support.video_files import write_video

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300), pytest.mark.usefixtures("warm_python")]

_PAUSE_MS = 11_500
"""Longer than a live source may be silent."""


def _with_pause(path: Path, pause_ms: int) -> Path:
    """Five pictures in half a second, a pause, and five more."""
    times_ms = [100 * number for number in range(5)]
    return write_video(path, 10, times_ms=[*times_ms, *(500 + pause_ms + at for at in times_ms)])


def _model(folder: Path) -> list[str]:
    return ["--random-weights", "--model", str(write_tiny_config(folder)), "--device", "cpu"]


def test_run_plays_the_pause_of_a_recording(tmp_path: Path) -> None:
    """All frames come, none is lost to a stall."""
    video = _with_pause(tmp_path / "hole.mkv", _PAUSE_MS)
    done = run_command(
        "run", video, "--realtime", "-p", "the red circle", "-o", "m.jsonl", *_model(tmp_path), cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    seqs = [json.loads(line)["seq"] for line in (tmp_path / "m.jsonl").read_text().splitlines()]
    assert seqs[-1] == 9
    assert " stalled" not in done.stderr


def test_graph_plays_the_pause_of_a_recording(tmp_path: Path) -> None:
    """`live: true` in a pipeline."""
    video = _with_pause(tmp_path / "hole.mkv", _PAUSE_MS)
    pipeline = {
        "name": "paced",
        "model": {"name": str(write_tiny_config(tmp_path)), "random_weights": True},
        "public": {"publish": "tcp://127.0.0.1:*", "requests": "tcp://127.0.0.1:*"},
        "streams": {"hole": {"source": str(video), "live": True, "prompts": ["the red circle"]}},
    }
    (tmp_path / "paced.yaml").write_text(yaml.safe_dump(pipeline))
    done = run_command("up", "paced.yaml", "--threads", "1", "-o", "m.jsonl", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (tmp_path / "m.jsonl").read_text().splitlines()]
    assert lines[-1]["t"] == pytest.approx(0.9 + _PAUSE_MS / 1000, abs=0.02)
    assert " stalled" not in done.stderr
    assert "lost" not in done.stderr


def test_ctrl_c_ends_a_pause_of_hours_at_once(tmp_path: Path) -> None:
    """What came before is complete."""
    video = _with_pause(tmp_path / "night.mkv", 5 * 3_600_000)
    command: list[str | Path] = [
        CONSOLE_SCRIPT,
        "run",
        video,
        "--realtime",
        "-p",
        "the red circle",
        "-o",
        "-",
        *_model(tmp_path),
    ]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with running(command, cwd=tmp_path, **pipes) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        with process.stdout, process.stderr:
            masks, told = Lines(process.stdout), Lines(process.stderr)
            masks.until('"seq":4', beside=told)
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE_S) == 0
            assert any("ended by Ctrl-C" in line for line in told.rest())
