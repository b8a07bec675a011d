"""Training as a user does it: a real process, killed and resumed."""

import csv
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from ssa_stream.checkpoints import load_checkpoint
from ssa_stream.configs import load_config

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1200), pytest.mark.usefixtures("warm_python")]

COMMAND = [str(Path(sys.executable).with_name("ssa-stream")), "train"]
DEADLINE_S = 300.0


def _train(config: str, folder: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, config, "--out", str(folder), "--accelerator", "cpu", "--threads", "1", *options],
        stderr=subprocess.PIPE,
        text=True,
    )


def _finish(process: subprocess.Popen[str]) -> str:
    _, told = process.communicate(timeout=1100)
    assert process.returncode == 0, told
    return told


def _losses(path: Path) -> list[float]:
    with path.open(encoding="utf-8") as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


def test_smoke_run_losses_fall_and_checkpoints_load(tmp_path: Path) -> None:
    """Every stage of the shipped smoke configuration; the checkpoint is one that others can use."""
    told = _finish(_train("smoke", tmp_path / "run"))
    assert "done: best" in told
    for stage in ("clip", "images"):
        losses = _losses(tmp_path / "run" / f"train_{stage}.csv")
        assert sum(losses[-2:]) < 0.95 * sum(losses[:2]), (stage, losses)
    assert load_checkpoint(tmp_path / "run" / "best.safetensors").config.name == "ssa-tiny"


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The smoke configuration with few steps, most where the run is ended, saved often."""
    settings: dict[str, Any] = load_config("train", "smoke")
    for stage in settings["stages"]:
        stage |= {"steps": 6 if stage["name"] == "images" else 3, "batch": 2}
    settings |= {"save_every": 2, "log_every": 1}
    settings["validation"] |= {"clips": 2}
    path = tmp_path_factory.mktemp("settings") / "short.yaml"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def whole(short: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a short run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    _finish(_train(short, folder))
    return folder


def _when(condition: Any, process: subprocess.Popen[str]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert process.poll() is None, "ended too early"
        assert time.monotonic() < deadline, "took too long"
        time.sleep(0.02)


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP], ids=["killed", "asked_to_stop", "terminal_closed"]
)
def test_run_ended_by_a_signal_and_resumed_is_bitwise_equal(
    short: str, whole: Path, tmp_path: Path, number: signal.Signals
) -> None:
    """Whatever step it hits. Asked to stop, the run saves its state and says how to go on."""
    process = _train(short, tmp_path / "broken")
    table = tmp_path / "broken" / "train_images.csv"
    _when(lambda: table.is_file() and len(table.read_text(encoding="utf-8").splitlines()) > 3, process)
    process.send_signal(number)
    _, told = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == (-signal.SIGKILL if number == signal.SIGKILL else 0), told
    assert ("--resume" in told) == (number != signal.SIGKILL)
    _finish(_train(short, tmp_path / "broken", "--resume"))
    ours, theirs = (load_checkpoint(run / "last.safetensors").state_dict() for run in (tmp_path / "broken", whole))
    assert [name for name in theirs if not torch.equal(ours[name], theirs[name])] == []
    assert _losses(table) == _losses(whole / "train_images.csv")
