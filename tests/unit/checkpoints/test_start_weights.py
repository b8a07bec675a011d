"""A start for training: what a segmenter of pictures shares with a network is taken, the rest initialised."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ssa_stream.checkpoints import import_reference, load_checkpoint, read_info, save_checkpoint, training_start
from ssa_stream.errors import CheckpointError
from ssa_stream.model import SsaConfig
from tests.support.tiny_model import tiny_config

CLIP = "backbone.clip_model."
HEAD = "sem_seg_head."


def segmenter(reference: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """As a Mask2Former with CLIP would be saved: more queries, classes of its own, neither words nor video."""
    own = ("fusion_layers", "text_cross_attention", "class_embed", "query_embed")
    state = {
        key: tensor.clone()
        for key, tensor in reference.items()
        if key.startswith((CLIP, HEAD)) and not any(part in key for part in own)
    }
    width = tiny_config().hidden_dim
    state[f"{HEAD}predictor.query_feat.weight"] = torch.rand(100, width)
    state[f"{HEAD}predictor.query_embed.weight"] = torch.rand(100, width)
    state[f"{HEAD}predictor.class_embed.weight"] = torch.rand(81, width)
    state[f"{HEAD}predictor.class_embed.bias"] = torch.rand(81)
    state["criterion.empty_weight"] = torch.rand(81)
    state["iterations"] = torch.tensor(7)
    return state


@pytest.fixture
def coco(tmp_path: Path, reference_state: Mapping[str, Tensor]) -> Path:
    """Such a file."""
    torch.save({"model": segmenter(reference_state)}, tmp_path / "coco.pth")
    return tmp_path / "coco.pth"


def test_start_takes_what_fits_and_initialises_the_rest(
    coco: Path, config: SsaConfig, state: Mapping[str, Tensor], tmp_path: Path
) -> None:
    """CLIP, pixel decoder and frame decoder come from the file; it can be saved, and trained on, but not run."""
    start = training_start(coco, config)
    assert torch.equal(start.state["pixel_decoder.mask_features.weight"], state["pixel_decoder.mask_features.weight"])
    assert all(torch.equal(start.state[key], state[key]) for key in state if key.startswith("clip."))
    queries = "frame_decoder.query_position.weight"
    assert not torch.equal(start.state[queries], state[queries])
    assert set(start.taken) == {"clip", "pixel_decoder", "frame_decoder"}
    assert {"adapters", "video_decoder", "pixel_decoder", "frame_decoder"} <= set(start.initialised)
    assert start.taken["frame_decoder"] + start.initialised["frame_decoder"] == sum(
        key.startswith("frame_decoder.") for key in start.state
    )
    assert len(start.random) == sum(start.initialised.values())
    assert queries in start.random
    path = tmp_path / "start.safetensors"
    assert not save_checkpoint(path, start.state, config, is_trained=False).is_trained
    with pytest.raises(CheckpointError, match=r"start for training, not a trained network.*ssa-stream train"):
        load_checkpoint(path)
    loaded = load_checkpoint(path, for_training=True).state_dict()
    assert torch.equal(loaded["pixel_decoder.mask_features.weight"], state["pixel_decoder.mask_features.weight"])


def test_start_names_what_is_left_out(coco: Path, config: SsaConfig) -> None:
    """Each with its reason."""
    left_out = "\n".join(training_start(coco, config).left_out)
    assert "query_feat.weight' (not in the network)" in left_out
    assert f"predictor.query_embed.weight ([100, 64], expected [{config.num_queries}, 64])" in left_out
    assert "predictor.class_embed.bias ([81], expected [2])" in left_out
    assert "iterations" in left_out


def test_start_is_the_same_for_the_same_seed(coco: Path, config: SsaConfig) -> None:
    """And leaves other users of chance alone."""
    torch.manual_seed(5)
    first, again, other = (training_start(coco, config, seed=seed).state for seed in (1, 1, 2))
    drawn = torch.rand(1)
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not all(torch.equal(first[key], other[key]) for key in first)
    torch.manual_seed(5)
    assert torch.equal(drawn, torch.rand(1))


def test_start_without_clip_needs_one(
    tmp_path: Path, config: SsaConfig, reference_state: Mapping[str, Tensor], state: Mapping[str, Tensor]
) -> None:
    """A frozen CLIP cannot be random."""
    bare = {key: tensor for key, tensor in segmenter(reference_state).items() if not key.startswith(CLIP)}
    torch.save(bare, tmp_path / "bare.pth")
    with pytest.raises(CheckpointError, match=r"lacks \d+ tensors of tiny-test.*--clip FILE"):
        training_start(tmp_path / "bare.pth", config)
    clip = {key.removeprefix("clip."): tensor for key, tensor in state.items() if key.startswith("clip.")}
    start = training_start(tmp_path / "bare.pth", config, clip=clip)
    assert all(torch.equal(start.state[f"clip.{key}"], clip[key]) for key in clip)


def test_start_from_something_else_is_refused(tmp_path: Path, config: SsaConfig) -> None:
    """Nothing fits: it says what came."""
    torch.save({"layer1.weight": torch.rand(3)}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=r"has nothing of tiny-test besides CLIP: 'layer1.weight'"):
        training_start(tmp_path / "other.pth", config)


def test_import_of_a_segmenter_says_what_it_is_for(coco: Path, config: SsaConfig) -> None:
    """Who forgets the option is told of it."""
    with pytest.raises(CheckpointError, match=r"no video module.*--for-training"):
        import_reference(coco, config)


def test_trained_checkpoints_are_what_they_were(tmp_path: Path, config: SsaConfig, state: Mapping[str, Tensor]) -> None:
    """Old files say nothing about it."""
    save_checkpoint(tmp_path / "x.safetensors", state, config)
    assert read_info(tmp_path / "x.safetensors").is_trained
