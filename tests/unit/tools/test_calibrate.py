"""The tool that makes 0.5 the best threshold."""

from pathlib import Path

import numpy as np
import pytest
import torch

from ssa_stream.checkpoints import load_checkpoint
from ssa_stream.data import sample_clip
from ssa_stream.model import SSA
from ssa_stream.model.extensions.presence import Presence
from tests.support.command_line import run_tool
from tests.support.tiny_model import tiny_model, told_model
from tools.calibrate import _THRESHOLDS, choose, fit_reading, frame_classes, shift


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


@pytest.mark.slow
def test_tool_writes_a_checkpoint_and_says_what_it_did(tmp_path: Path) -> None:
    """Only the bias of the classes differs."""
    out = tmp_path / "calibrated.safetensors"
    settings = "--clips 6 --frames 2 --size 64 96".split()
    done = run_tool("calibrate", "ssa-tiny", "-o", out, *settings)
    assert done.returncode == 0, done.stderr
    assert "becomes 0.5" in done.stdout
    assert "noticed if absent" in done.stdout
    old, new = load_checkpoint("ssa-tiny").state_dict(), load_checkpoint(str(out)).state_dict()
    changed = {name for name, tensor in old.items() if not torch.equal(tensor, new[name])}
    assert changed <= {"video_decoder.classifier.bias"}


@pytest.mark.slow
def test_a_threshold_that_is_given_is_taken(tmp_path: Path) -> None:
    """Without looking at clips; one that is none is refused."""
    out = tmp_path / "shifted.safetensors"
    command = ["calibrate", "ssa-tiny", "-o", str(out), "--threshold"]
    done = run_tool(*command, "0.35")
    assert done.returncode == 0, done.stderr
    model = load_checkpoint("ssa-tiny")
    shift(model, 0.35)
    assert torch.equal(model.video_decoder.classifier.bias, load_checkpoint(str(out)).video_decoder.classifier.bias)
    refused = run_tool(*command, "1.5")
    assert refused.returncode == 2
    assert "--threshold is 1.5" in refused.stderr


@pytest.mark.parametrize("model", [tiny_model(), told_model(0.1)], ids=["published", "told_where_masks_are"])
def test_reading_finds_the_frame_decoders_classes(model: SSA) -> None:
    """Projected queries hold them; the mean presence of the clips is taken off."""
    clips = [sample_clip(seed, 5, (64, 96), "train") for seed in range(4)]
    made = [frame_classes(model, clip) for clip in clips]
    queries, log_odds = (torch.cat(parts) for parts in zip(*made, strict=True))
    assert queries.shape == (20, 6, 64)
    assert log_odds.std() > 0.1
    weight, bias = fit_reading(queries, log_odds, [5, 5, 5, 5])
    known = log_odds.view(4, -1).amax(dim=1)
    read = (queries @ weight).view(4, -1).amax(dim=1) + bias
    torch.testing.assert_close(read, known - known.mean(), atol=0.1, rtol=0)


def test_reading_bears_rounding() -> None:
    """Queries that hardly differ along a direction are not read there, even where that would be exact."""
    torch.manual_seed(0)
    log_odds = torch.randn(200, 6)
    queries = torch.stack([log_odds, 2 - log_odds, 3 + torch.randn(200, 6)], dim=-1)
    queries[..., 1] += 1e-4 * torch.randn(200, 6)
    weight, bias = fit_reading(queries, log_odds + 1e4 * (queries[..., 0] + queries[..., 1] - 2), [100, 100])
    assert weight.norm() < 2
    rounded, exact = (values.float() @ weight + bias for values in (queries.bfloat16(), queries))
    assert (rounded - exact).abs().max() < 0.05


@pytest.mark.slow
def test_presence_is_set_before_the_threshold(tmp_path: Path) -> None:
    """The file says so, and loads as what it is; less than none is refused."""
    out = tmp_path / "present.safetensors"
    settings = "--clips 6 --frames 2 --size 64 96 --threshold 0.6".split()
    command = ["calibrate", "ssa-tiny", "-o", str(out), *settings, "--presence"]
    done = run_tool(*command, "0.5")
    assert done.returncode == 0, done.stderr
    assert "presence of 6 clips" in done.stdout
    model = load_checkpoint(str(out))
    assert isinstance(model.video_decoder.presence, Presence)
    assert model.video_decoder.presence.weight.abs().max() > 0
    refused = run_tool(*command, "-1")
    assert refused.returncode == 2
    assert "--presence is -1.0; expected 0 or more" in refused.stderr
