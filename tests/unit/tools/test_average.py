"""The tool that averages two checkpoints."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import torch

from ssa_stream.checkpoints import load_checkpoint, save_checkpoint
from ssa_stream.errors import CheckpointError
from ssa_stream.model import SSA
from tools.average import average

_TOOL = Path(__file__).parents[3] / "tools" / "average.py"


def test_tool_writes_weights_between_the_two(tmp_path: Path) -> None:
    """A quarter of the way from the first to the second; what they have in common stays."""
    first, second = load_checkpoint("ssa-tiny"), load_checkpoint("ssa-tiny")
    with torch.no_grad():
        second.video_decoder.classifier.bias.add_(4.0)
    other, out = tmp_path / "other.safetensors", tmp_path / "mean.safetensors"
    save_checkpoint(other, second, second.config)
    command = [sys.executable, str(_TOOL), "ssa-tiny", str(other), "-o", str(out), "--share", "0.25"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert str(out) in done.stdout
    old, new = first.state_dict(), load_checkpoint(str(out)).state_dict()
    assert {name for name, tensor in old.items() if not torch.equal(tensor, new[name])} == {
        "video_decoder.classifier.bias"
    }
    torch.testing.assert_close(new["video_decoder.classifier.bias"], old["video_decoder.classifier.bias"] + 1.0)


def test_different_networks_are_refused() -> None:
    """With one sentence; so is a share beyond the two."""
    tiny = load_checkpoint("ssa-tiny")
    with torch.device("meta"):
        other = SSA(msgspec.structs.replace(tiny.config, num_queries=5))
    with pytest.raises(CheckpointError, match="different networks"):
        average(tiny, other, 0.5)
    command = [sys.executable, str(_TOOL), "ssa-tiny", "ssa-tiny", "-o", "x", "--share", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "expected 0..1" in done.stderr
