"""From a pipeline's model section to the network."""

from pathlib import Path

import pytest
import torch

from ssa_stream.checkpoints import DEFAULT_CHECKPOINT, load_checkpoint
from ssa_stream.errors import CheckpointError, ConfigError
from ssa_stream.nodes.pipeline import ModelSection
from ssa_stream.nodes.runtime.weights import load_network


def test_random_weights_are_the_same_in_every_process() -> None:
    """Encoder and queries are parts of one network; the generator of others is left alone."""
    before = torch.get_rng_state()
    section = ModelSection(random_weights=True, device="cpu")
    first, second = load_network(section).state_dict(), load_network(section).state_dict()
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert torch.equal(torch.get_rng_state(), before)


def test_section_that_names_no_weights_takes_the_shipped_ones() -> None:
    """Masks that mean nothing are not made by mistake."""
    shipped = load_checkpoint(DEFAULT_CHECKPOINT).state_dict()
    taken = load_network(ModelSection(device="cpu")).state_dict()
    assert all(torch.equal(taken[key], shipped[key]) for key in shipped)


def test_checkpoint_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """The checkpoint's own error is kept."""
    with pytest.raises(CheckpointError):
        load_network(ModelSection(checkpoint=str(tmp_path / "gone.safetensors"), device="cpu"))


def test_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """No silent change of the device; only `auto` chooses."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"model\.device is 'cuda:1' but this machine offers: cpu;"):
        load_network(ModelSection(random_weights=True, device="cuda:1"))
    assert next(load_network(ModelSection(random_weights=True, device="auto")).parameters()).device.type == "cpu"
