"""Training configurations: those that ship, and what is refused."""

from typing import Any

import pytest
import torch

from ssa_stream.configs import config_names, load_config
from ssa_stream.data import SPLITS
from ssa_stream.errors import ConfigError
from ssa_stream.model import SSA, SsaConfig
from ssa_stream.training import TrainConfig
from ssa_stream.training.config import ClipsStage
from ssa_stream.training.data.settings import ReferringSets
from ssa_stream.training.loop.optimizer import parameter_groups


@pytest.mark.parametrize("name", config_names("train"))
def test_shipped_config_loads_and_names_a_model(name: str) -> None:
    """Decoding checks keys, types and ranges; it survives the way through plain dictionaries."""
    config = TrainConfig.from_mapping(load_config("train", name))
    SsaConfig.from_mapping(load_config("model", config.model))
    assert TrainConfig.from_mapping(config.to_mapping()) == config
    assert config.name == name


def test_published_recipe_is_what_the_paper_trains() -> None:
    """Its numbers, and 46.8 M learnable parameters of the right groups, without memory for them."""
    config = TrainConfig.from_mapping(load_config("train", "ssa-large-mevis"))
    (stage,) = config.stages
    assert isinstance(stage, ClipsStage)
    assert isinstance(stage.data, ReferringSets)
    assert (stage.steps, stage.batch, stage.frames) == (75_000, 8, (8, 8))
    assert (stage.loss.num_points, stage.loss.frame_layers, stage.loss.similarity_weight) == (12544, 3, 1.0)
    assert stage.loss.misordered_similarity
    assert stage.stochastic_depth
    optimizer = stage.optimizer
    assert (optimizer.lr, optimizer.clip_norm, optimizer.weight_decay) == (5e-5, 0.01, 0.05)
    assert [optimizer.lr_factor(step, stage.steps) for step in (0, 54_999, 55_000, 70_000)] == pytest.approx(
        [1, 1, 0.1, 0.01]
    )
    with torch.device("meta"):
        model = SSA(SsaConfig.from_mapping(load_config("model", config.model)))
    groups = parameter_groups(model, optimizer)
    sizes = {1.0: 0, 0.1: 0}
    for group in groups:
        sizes[group["lr_scale"]] += sum(parameter.numel() for parameter in group["params"])
    assert sum(sizes.values()) / 1e6 == pytest.approx(46.85, abs=0.01)
    assert sizes[0.1] / 1e6 == pytest.approx(7.0, abs=0.05)


def _settings(**changes: Any) -> dict[str, Any]:
    stage = {
        "kind": "clips",
        "name": "a",
        "steps": 1,
        "batch": 1,
        "frames": [1, 2],
        "data": {"source": "synthetic", "size": [32, 32]},
        "optimizer": {"lr": 1e-3},
    }
    return {"name": "x", "model": "ssa-tiny", "validation": {"every": 1}, "stages": [stage | changes]}


@pytest.mark.parametrize(
    "changes",
    [
        {"frames": [3, 2]},
        {"steps": 0},
        {"surprise": 1},
        {"kind": "videos"},
        {"optimizer": {"lr": -1.0}},
        {"data": {"source": "synthetic", "size": [8, 8]}},
        {"data": {"source": "synthetic", "size": [32, 32], "type_weights": {"rhyme": 1.0}}},
        {"data": {"source": "referring", "sets": []}},
        {"data": {"source": "referring", "sets": [{"data": "mevis:x", "weight": 0}]}},
        {"data": {"source": "referring", "sets": [{"data": "mevis:x", "weight": w} for w in (1, 2000)]}},
        {"loss": {"num_points": 0}},
        {"loss": {"all_objects": True}},
        {"kind": "tiny_clips", "frames": [1, 4], "data": {"source": "synthetic", "size": [32, 32], "spread": 3}},
        {"kind": "tiny_clips", "data": {"source": "referring", "sets": [{"data": "mevis:x"}]}},
        {"kind": "tiny_clips", "loss": {"duplicate_iou": 1.0}},
        {"kind": "tiny_clips", "unknown_words": -0.1},
    ],
    ids=(
        "frames steps unknown kind rate size type no_sets weight weights points all_objects spread referring "
        "duplicates unknown_words"
    ).split(),
)
def test_wrong_settings_are_refused(changes: dict[str, Any]) -> None:
    """As a ConfigError with the place."""
    with pytest.raises(ConfigError, match="training configuration is not valid"):
        TrainConfig.from_mapping(_settings(**changes))


def test_stages_of_one_name_are_refused() -> None:
    """Their logs would be one."""
    settings = _settings()
    with pytest.raises(ConfigError, match="different names"):
        TrainConfig.from_mapping({**settings, "stages": settings["stages"] * 2})


def test_validation_split_is_not_trained_on() -> None:
    """The generator's splits are disjoint by seed; validation takes another one unless told otherwise."""
    assert "val" in SPLITS
    assert TrainConfig.from_mapping(_settings()).validation.split == "val"
