"""The trunk folded for inference: the same numbers, fewer tensors, and no way into a file."""

from pathlib import Path

import msgspec
import pytest
import torch
from timm.layers.norm import SimpleNorm2d
from timm.models.convnext import ConvNeXtBlock
from torch import Tensor, nn

from ssa_stream.checkpoints import save_checkpoint
from ssa_stream.configs import load_config
from ssa_stream.errors import CheckpointError
from ssa_stream.model import SSA, ClipConfig, SsaConfig, fold_weights, folds
from ssa_stream.model.clip import build_clip, trunk_stages
from ssa_stream.model.folds import FoldedBlock, VarianceNorm
from ssa_stream.model.layers import FeedForward
from ssa_stream.model.onednn import LEAST_WIDTH, Activation, has_fused_linear, linear
from ssa_stream.model.parts import Absent
from tests.support.tiny_model import tiny_config

_CLOSE = 1e-5
"""Of root mean squares."""


def drawn_network(trunk: str) -> SSA:
    """A small network with such a trunk, whose scales and norms are not those of a start."""
    config = tiny_config()
    assert config.clip.definition is not None
    vision = {**config.clip.definition["vision_cfg"], "timm_model_name": trunk}
    clip = ClipConfig(name=trunk, definition={**config.clip.definition, "vision_cfg": vision}, num_words=8)
    network = SSA(msgspec.structs.replace(config, clip=clip)).eval().requires_grad_(False)
    for name, parameter in network.clip.visual.trunk.named_parameters():
        if parameter.dim() == 1:
            nn.init.normal_(parameter, mean=0.0 if name.endswith("bias") else 1.0, std=0.3)
    return network


@torch.inference_mode()
@pytest.mark.parametrize(
    ("trunk", "blocks"),
    [("convnext_zepto_rms_ols", 10), ("test_convnext2", 4), ("convnextv2_atto", 0)],
    ids=["variance_norm", "layer_norm", "norm_between_linear_maps"],
)
def test_folded_trunk_gives_the_same_maps(trunk: str, blocks: int) -> None:
    """Every stage, whatever norms the trunk has; blocks with parts that are not known stay as they are."""
    network, images = drawn_network(trunk), torch.rand(2, 3, 64, 96)
    text = network.encode_text(["a dog", "a cat"])
    expected = network.encode_frame(images, text)
    fold_weights(network)
    assert sum(isinstance(one, FoldedBlock) for one in network.modules()) == blocks
    for ours, theirs in zip(network.encode_frame(images, text), expected, strict=True):
        assert float((ours - theirs).norm() / theirs.norm()) < _CLOSE
    stem = network.encode_stem(images)
    assert stem.is_contiguous(memory_format=torch.channels_last)
    assert not any(name.endswith(".gamma") for name in network.clip.visual.trunk.state_dict())


@torch.inference_mode()
def test_variance_norm_equals_that_of_timm_far_from_zero() -> None:
    """A mean of a hundred deviations: sums of squares would lose it."""
    x = torch.randn(2, 24, 5, 7) + 100
    theirs = SimpleNorm2d(24)
    theirs.weight.copy_(torch.rand(24) + 0.5)
    expected = theirs.double()(x.double()).float()
    ours = VarianceNorm(24, theirs.eps, theirs.weight.float())(x)
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=0)


def test_folded_network_is_not_saved(tmp_path: Path) -> None:
    """Its tensors are not those of its configuration; the message says where to get others."""
    network = fold_weights(drawn_network("test_convnext2"))
    config: SsaConfig = network.config
    with pytest.raises(CheckpointError, match="folded for inference; save one from load_checkpoint"):
        save_checkpoint(tmp_path / "x.safetensors", network, config)
    assert not list(tmp_path.iterdir())


def test_network_without_a_trunk_stays_as_it_is() -> None:
    """A node that holds another part is opened in the same way."""
    network = SSA(tiny_config(), parts=["decoder"])
    assert isinstance(fold_weights(network).clip, Absent)
    assert not network.is_folded


@torch.inference_mode()
def test_wide_feed_forward_of_the_pixel_decoder_runs_in_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the numbers of two; narrow ones, and those of the other decoders, stay."""
    monkeypatch.setattr(folds, "LEAST_WIDTH", 64)
    network = fold_weights(SSA(tiny_config()).eval())
    fused = {name for name, one in network.named_modules() if isinstance(one, FeedForward) and one.is_fused}
    assert fused == {"pixel_decoder.layers.0.feed_forward"}
    layer, x = network.get_submodule(fused.pop()), torch.randn(2, 9, 64)
    ours = layer(x)
    layer.is_fused = False  # type: ignore[assignment]  # a flag
    torch.testing.assert_close(ours, layer(x), rtol=1e-5, atol=1e-5)
    monkeypatch.setattr(folds, "LEAST_WIDTH", 65)
    assert not any(isinstance(one, FeedForward) and one.is_fused for one in fold_weights(SSA(tiny_config())).modules())


@torch.inference_mode()
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_wide_block_runs_by_one_pass_of_onednn(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    """What gelu and bias cost apart is saved, with the same numbers; where torch lacks it, its own maps are taken."""
    block = ConvNeXtBlock(LEAST_WIDTH, ls_init_value=0.5).to(dtype).eval()
    x = torch.randn(1, LEAST_WIDTH, 6, 5, dtype=dtype).contiguous(memory_format=torch.channels_last)
    calls: list[str] = []

    def counted(layer: nn.Linear, y: Tensor, activation: Activation = "none") -> Tensor:
        calls.append(activation)
        return linear(layer, y, activation)

    monkeypatch.setattr(folds, "linear", counted)
    made = {}
    for is_there in (True, False):
        monkeypatch.setattr(folds, "has_fused_linear", lambda kind, is_there=is_there: is_there)
        made[is_there] = FoldedBlock(block)(x).float()
    assert has_fused_linear(dtype)
    assert calls == ["gelu", "none"]
    expected = block.float()(x.float())
    for ours in made.values():
        assert float((ours - expected).norm() / expected.norm()) < (1e-5 if dtype == torch.float32 else 0.01)


@pytest.mark.parametrize("name", ["ssa-tiny", "ssa-base", "ssa-large"])
def test_every_block_of_the_shipped_networks_can_be_folded(name: str) -> None:
    """Their CLIPs drop paths in training, which inference does not."""
    with torch.device("meta"):
        clip = build_clip(SsaConfig.from_mapping(load_config("model", name)).clip)
    blocks = [block for stage in trunk_stages(clip)[1] for block in stage.get_submodule("blocks").children()]
    assert len(blocks) >= 10
    assert all(FoldedBlock.can_fold(block) for block in blocks)
