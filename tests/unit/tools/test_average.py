"""The tool that averages two checkpoints."""

from pathlib import Path

import msgspec
import pytest
import torch

from ssa_stream.checkpoints import load_checkpoint, save_checkpoint
from ssa_stream.errors import CheckpointError
from ssa_stream.model import SSA
from tests.support.command_line import run_tool
from tools.average import average


@pytest.mark.slow
def test_tool_writes_weights_between_the_two(tmp_path: Path) -> None:
    """A quarter of the way from the first to the second; what they have in common stays."""
    first, second = load_checkpoint("ssa-tiny"), load_checkpoint("ssa-tiny")
    with torch.no_grad():
        second.video_decoder.classifier.bias.add_(4.0)
    other, out = tmp_path / "other.safetensors", tmp_path / "mean.safetensors"
    save_checkpoint(other, second, second.config)
    done = run_tool("average", "ssa-tiny", other, "-o", out, "--share", "0.25")
    assert done.returncode == 0, done.stderr
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
    done = run_tool("average", "ssa-tiny", "ssa-tiny", "-o", "x", "--share", "2")
    assert done.returncode == 2
    assert "expected 0..1" in done.stderr
