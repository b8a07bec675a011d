"""A network and stages that are small enough to train in a test."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from ssa_stream.model import SSA
from ssa_stream.training.config import ClipsStage, LossConfig, OptimizerConfig
from ssa_stream.training.data.settings import SyntheticData
from ssa_stream.training.tiny.config import MotionStage, TinyClipsStage, TinyData, TinyLoss
from tests.support.tiny_model import tiny_config, tiny_model, told_model


@pytest.fixture
def model() -> SSA:
    """A tiny network of its own for the test, learnable but for CLIP."""
    own = copy.deepcopy(tiny_model()).requires_grad_(True)
    own.clip.requires_grad_(False)
    return own.train()


@pytest.fixture
def told() -> SSA:
    """The same, whose frame queries are told where their masks are."""
    own = told_model(weight_std=0.3).requires_grad_(True)
    own.clip.requires_grad_(False)
    return own.train()


@pytest.fixture
def stage() -> ClipsStage:
    """A stage for it, without dropout."""
    return ClipsStage(
        name="clips",
        steps=4,
        batch=2,
        frames=(2, 2),
        data=SyntheticData(size=(32, 64), sentences=2, max_objects=3),
        loss=LossConfig(num_points=32, frame_layers=2),
        optimizer=OptimizerConfig(lr=1e-3),
        dropout=0.0,
    )


@pytest.fixture
def tiny_stage(stage: ClipsStage) -> TinyClipsStage:
    """A stage that knows all objects."""
    return TinyClipsStage(
        name="tiny",
        steps=stage.steps,
        batch=stage.batch,
        frames=stage.frames,
        data=TinyData(size=(32, 64), sentences=2, max_objects=3),
        loss=TinyLoss(num_points=32, frame_layers=2),
        optimizer=stage.optimizer,
        dropout=0.0,
    )


@pytest.fixture
def motion(stage: ClipsStage) -> MotionStage:
    """Decisions about four clips."""
    return MotionStage(
        name="motion",
        steps=stage.steps,
        batch=4,
        frames=(5, 7),
        data=TinyData(size=(64, 96), sentences=5, max_objects=3),
        loss=TinyLoss(num_points=32, frame_layers=1, location_weight=1.0, slot_weight=5.0),
        optimizer=stage.optimizer,
        dropout=0.0,
        teaches="decisions",
        clips=4,
        kept_frames=9,
        ordinary=2,
    )


@pytest.fixture
def tiny_yaml(tmp_path: Path) -> str:
    """The tiny network's configuration as a file."""
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(tiny_config().to_mapping()), encoding="utf-8")
    return str(path)


@pytest.fixture
def settings(tiny_yaml: str) -> dict[str, Any]:
    """A whole run of four kinds of stages, a few steps each."""
    data = {"source": "synthetic", "size": [32, 64], "max_objects": 2}
    common = {"steps": 4, "batch": 2, "optimizer": {"lr": 1e-3, "warmup_steps": 2}}
    segment = {**common, "data": data, "loss": {"num_points": 16, "frame_layers": 1}}
    return {
        "name": "test",
        "model": tiny_yaml,
        "save_every": 2,
        "log_every": 1,
        "validation": {"every": 3, "clips": 2, "frames": 2, "size": [32, 64]},
        "stages": [
            {"kind": "clip_pretrain", "name": "clip", "sizes": [[64, 96]], **common, "batch": 4},
            {"kind": "clips", "name": "images", "frames": [1, 1], **segment},
            {
                **{"kind": "motion", "name": "motion", "teaches": "decisions", "ordinary": 2, "clips": 4},
                **{"kept_frames": 6, "frames": [5, 6], **segment},
                "data": data | {"sentences": 3},
            },
            {"kind": "tiny_clips", "name": "tiny", "frames": [2, 3], **segment},
        ],
    }


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)
