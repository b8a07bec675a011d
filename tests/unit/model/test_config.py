"""Model configurations: every shipped one builds, and mistakes are told."""

from typing import Any

import pytest
import torch

from ssa_stream.configs import config_names, load_config
from ssa_stream.errors import ConfigError
from ssa_stream.model import SSA, SsaConfig
from tests.support.tiny_model import tiny_config

# Parameters of the published network, by its authors' checkpoint: frozen, learnable.
PUBLISHED = (351_772_609, 46_847_569)


@pytest.mark.parametrize("name", config_names("model"))
def test_shipped_config_builds(name: str) -> None:
    """Each YAML file describes a network; built without memory for its weights, so that size does not matter."""
    config = SsaConfig.from_mapping(load_config("model", name))
    assert config.name == name
    with torch.device("meta"):
        model = SSA(config)
    frozen = sum(p.numel() for p in model.clip.parameters())
    learnable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert not any(p.requires_grad for p in model.clip.parameters())
    if name == "ssa-large":
        assert (frozen, learnable) == PUBLISHED


def test_config_round_trips_through_plain_dictionaries() -> None:
    """What a checkpoint's metadata holds gives the same configuration back."""
    config = tiny_config()
    assert SsaConfig.from_mapping(config.to_mapping()) == config


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"hiden_dim": 64}, "hiden_dim"),
        ({"hidden_dim": "wide"}, "hidden_dim"),
        ({"hidden_dim": 72}, "multiple of 32"),
        ({"adapter_dim": 18, "adapter_heads": 3}, "of 4"),
        ({"adapter_heads": 3}, "adapter"),
        ({"dropout": 1.0}, "dropout"),
        ({"num_queries": 0}, "num_queries"),
        ({"short_edge_px": 500}, "short_edge_px"),
        ({"long_edge_px": 10**9}, "long_edge_px"),
        ({"hidden_dim": 2**40}, "hidden_dim"),
        ({"num_queries": 10**400}, "num_queries"),
        ({"num_queries": True}, "num_queries"),
        ({"dropout": float("nan")}, "dropout"),
        ({"frame_decoder": {"num_layers": 10**8}}, "num_layers"),
        ({"pixel_decoder": {"num_layers": -1}}, "num_layers"),
        ({"video_decoder": {"ffn_dim": 10**12}}, "ffn_dim"),
        ({"name": ""}, "name"),
        ({"frame_decoder": {"num_heads": 7}}, "frame_decoder"),
        ({"clip": {"name": "x", "nmu_words": 3}}, "nmu_words"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_config_mistake_is_told(change: dict[str, Any], told: str) -> None:
    """Unknown keys, wrong types and sizes that do not fit together are refused by name."""
    with pytest.raises(ConfigError, match=told):
        SsaConfig.from_mapping(tiny_config().to_mapping() | change)


def test_config_without_name_is_refused() -> None:
    """There is no default network."""
    with pytest.raises(ConfigError, match="name"):
        SsaConfig.from_mapping({})


@pytest.mark.parametrize(
    ("clip", "told"),
    [
        ({"name": "no_such_model"}, "no_such_model"),
        ({"name": "ViT-B-32"}, "ViT/ResNet"),
        ({"name": "own", "definition": {"vision_cfg": {"timm_model_name": "convnext_nowhere"}}}, "convnext_nowhere"),
        ({"name": "own", "definition": {}}, "embed_dim"),
    ],
    ids=["unknown", "no_convnext", "unknown_trunk", "empty"],
)
def test_clip_that_does_not_fit_is_refused(clip: dict[str, Any], told: str) -> None:
    """Only a ConvNeXt has the four stages that the adapters sit between."""
    mapping = tiny_config().to_mapping() | {"clip": clip}
    with pytest.raises(ConfigError, match=told), torch.device("meta"):
        SSA(SsaConfig.from_mapping(mapping))
