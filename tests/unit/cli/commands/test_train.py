"""What a log says of a training."""

from types import SimpleNamespace
from typing import Any

import pytest

from ssa_stream.cli.commands import train
from ssa_stream.cli.commands.train import _LogDisplay


def _report(stage: str, step: int) -> Any:
    figures = {"loss": 1.5, "lr": 1e-4, "step_ms": 200.0}
    return SimpleNamespace(stage=SimpleNamespace(name=stage, steps=100), step=step, figures=figures)


def test_log_has_a_line_a_stage_a_validation_and_one_every_few_minutes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A validation counts as one; steps in between are left out."""
    now_s = 1000.0
    monkeypatch.setattr(train, "time", SimpleNamespace(monotonic=lambda: now_s))
    display = _LogDisplay()
    for step in range(1, 5):
        display.on_step(_report("clip", step))
    now_s += 599
    display.on_step(_report("clip", 5))
    validation: Any = SimpleNamespace(figures={"j_and_f": 0.25})
    display.on_validation(_report("clip", 5).stage, 5, validation, is_best=True)
    now_s += 2
    display.on_step(_report("clip", 6))
    now_s += 599
    display.on_step(_report("clip", 7))
    display.on_step(_report("images", 1))
    assert capsys.readouterr().err.splitlines() == [
        "clip 1/100  loss 1.500  lr 1.0e-04  200 ms/step",
        "clip 5: j_and_f 0.250  (best so far)",
        "clip 7/100  loss 1.500  lr 1.0e-04  200 ms/step",
        "images 1/100  loss 1.500  lr 1.0e-04  200 ms/step",
    ]
