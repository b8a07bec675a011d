"""A small network's weights in the reference's names, made once, and files of them."""

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ssa_stream.checkpoints import save_checkpoint
from ssa_stream.checkpoints.reference import from_reference, reference_layout
from ssa_stream.checkpoints.seeded import seeded_state
from ssa_stream.model import SsaConfig
from tests.support.tiny_model import tiny_config


@pytest.fixture(scope="session")
def config() -> SsaConfig:
    """Sizes of the network."""
    return tiny_config()


@pytest.fixture(scope="session")
def reference_state(config: SsaConfig) -> Mapping[str, Tensor]:
    """Its tensors in the reference's names and order; do not change them."""
    return seeded_state(reference_layout(config))


@pytest.fixture(scope="session")
def state(config: SsaConfig, reference_state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The same tensors in our names."""
    return from_reference(reference_state, config)


@pytest.fixture
def reference_file(tmp_path: Path, reference_state: Mapping[str, Tensor]) -> Path:
    """A file as the reference's trainer writes it."""
    path = tmp_path / "reference.pth"
    torch.save({"model": OrderedDict(reference_state), "iteration": 7}, path)
    return path


@pytest.fixture
def checkpoint(tmp_path: Path, config: SsaConfig, state: Mapping[str, Tensor]) -> Path:
    """One of our files, CLIP inside."""
    path = tmp_path / "ours.safetensors"
    save_checkpoint(path, state, config, notes={"origin": "seeded"})
    return path
