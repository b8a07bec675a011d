"""The tool that makes 0.5 the best threshold."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from ssa_stream.checkpoints import load_checkpoint
from tools.calibrate import _THRESHOLDS, choose, shift

_TOOL = Path(__file__).parents[3] / "tools" / "calibrate.py"


def test_what_had_the_threshold_as_probability_has_one_half() -> None:
    """And the order of probabilities stays."""
    model = load_checkpoint("ssa-tiny")
    classifier = model.video_decoder.classifier
    x = torch.randn(50, classifier.in_features)
    before = classifier(x).softmax(dim=-1)[:, 0]
    shift(model, 0.8)
    after = classifier(x).softmax(dim=-1)[:, 0]
    assert torch.equal(before > 0.8, after > 0.5)
    assert torch.equal(before.argsort(), after.argsort())


@pytest.mark.parametrize(
    ("least", "expected"), [(0.0, 0.1), (0.5, 0.3), (0.75, 0.95), (1.5, 0.99)], ids=["any", "half", "most", "too_many"]
)
def test_best_threshold_of_those_that_notice_enough(least: float, expected: float) -> None:
    """The mean falls with the threshold, what is noticed grows; more than all is as much as there is."""
    mean = np.linspace(0.6, 0.4, len(_THRESHOLDS))
    noticed = np.select([_THRESHOLDS < 0.29, _THRESHOLDS < 0.94, _THRESHOLDS < 0.985], [0.2, 0.6, 0.9], 1.0)
    assert choose(mean, noticed, least) == expected


def test_tool_writes_a_checkpoint_and_says_what_it_did(tmp_path: Path) -> None:
    """Only the bias of the classes differs."""
    out = tmp_path / "calibrated.safetensors"
    settings = "--clips 6 --frames 2 --size 64 96".split()
    command = [sys.executable, str(_TOOL), "ssa-tiny", "-o", str(out), *settings]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "becomes 0.5" in done.stdout
    assert "noticed if absent" in done.stdout
    old, new = load_checkpoint("ssa-tiny").state_dict(), load_checkpoint(str(out)).state_dict()
    changed = {name for name, tensor in old.items() if not torch.equal(tensor, new[name])}
    assert changed <= {"video_decoder.classifier.bias"}


def test_a_threshold_that_is_given_is_taken(tmp_path: Path) -> None:
    """Without looking at clips; one that is none is refused."""
    out = tmp_path / "shifted.safetensors"
    command = [sys.executable, str(_TOOL), "ssa-tiny", "-o", str(out), "--threshold"]
    subprocess.run([*command, "0.35"], check=True)
    model = load_checkpoint("ssa-tiny")
    shift(model, 0.35)
    assert torch.equal(model.video_decoder.classifier.bias, load_checkpoint(str(out)).video_decoder.classifier.bias)
    refused = subprocess.run([*command, "1.5"], capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "--threshold is 1.5" in refused.stderr
