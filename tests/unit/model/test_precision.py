"""The pixel decoder as published and fast: which weights leave float32, what stays, and how close the numbers are."""

import pytest
import torch
from torch import Tensor

from ssa_stream.errors import ConfigError
from ssa_stream.model import SSA, to_input
from ssa_stream.model.deformable import DeformableAttention
from ssa_stream.model.pixel_decoder import PixelFeatures
from ssa_stream.model.precision import checked_precision, default_precision
from tests.support.tiny_model import random_frames, tiny_config, tiny_model

_CLOSE = 0.02
"""Of root mean squares: bfloat16 has eight binary digits."""


def fast_model(dtype: torch.dtype = torch.float32) -> SSA:
    """A network of one's own with the shared one's weights."""
    network = SSA(tiny_config()).eval().requires_grad_(False)
    network.load_state_dict(tiny_model().state_dict())
    return network.cast(dtype, "fast")


def features(network: SSA) -> PixelFeatures:
    """What its pixel decoder makes of a frame."""
    text = network.encode_text(["a dog"])
    maps = network.encode_frame(to_input(random_frames(1), "cpu", network.dtype), text)
    made: PixelFeatures = network.pixel_decoder(maps, network.sentence_resizer(text.sentence))
    return made


def test_fast_leaves_float32_in_large_matrices_only() -> None:
    """What says where to sample and how much of it, norms and the fusion stay; and all is as it was when cast back."""
    network = fast_model()
    half = {name for name, tensor in network.named_parameters() if tensor.dtype == torch.bfloat16}
    assert all(name.startswith("pixel_decoder.") for name in half)
    layer = "pixel_decoder.layers.0."
    assert {f"{layer}deformable.value_proj.weight", f"{layer}feed_forward.linear1.bias"} <= half
    assert {"pixel_decoder.output.weight", "pixel_decoder.input_proj.2.0.weight"} <= half
    delicate = ("sampling_offsets", "attention_weights", "norm", "fusion", "input_proj.0.1", "level_embed")
    assert not [name for name in half if any(part in name for part in delicate)]
    network.cast(torch.float32, "published")
    assert {tensor.dtype for tensor in network.parameters()} == {torch.float32}


@torch.inference_mode()
@pytest.mark.parametrize("is_fused", [False, True], ids=["reference", "fused"])
def test_fast_keeps_tokens_and_places_in_float32_and_stays_close(is_fused: bool) -> None:
    """By the reference and by the fused operator; what comes out has the type that it has as published."""
    network, seen = fast_model(), list[torch.dtype]()
    deformable = network.pixel_decoder.layers[0].get_submodule("deformable")
    assert isinstance(deformable, DeformableAttention)
    deformable.fused = is_fused
    for name in ("sampling_offsets", "attention_weights"):
        deformable.get_submodule(name).register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    deformable.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[1].dtype))
    ours, theirs = features(network), features(tiny_model())
    assert seen == [torch.float32] * 3
    assert {x.dtype for x in (*ours.memories, ours.fpn, ours.text)} == {torch.float32}
    for one, other in zip((*ours.memories, ours.fpn), (*theirs.memories, theirs.fpn), strict=True):
        assert 0 < float((one - other).norm() / other.norm()) < _CLOSE
    assert ours.mask_features.dtype == torch.bfloat16
    assert float((ours.mask_features - theirs.mask_features).norm() / theirs.mask_features.norm()) < _CLOSE


@torch.inference_mode()
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_fast_network_gives_its_own_type(dtype: torch.dtype) -> None:
    """Whatever the pixel decoder computes in, the next stages get the type of the network."""
    network = fast_model(dtype)
    text = network.encode_text(["a dog"])
    made = network.generate_queries(network.encode_frame(to_input(random_frames(1), "cpu", dtype), text), text)
    assert {x.dtype for x in (made.queries, made.text, made.mask_features)} == {dtype}


@pytest.mark.parametrize(
    ("device", "dtype", "expected"),
    [
        ("cpu", torch.float32, "published"),
        ("cpu", torch.bfloat16, "fast"),
        ("cuda", torch.float32, "fast"),
        ("cuda", torch.bfloat16, "fast"),
    ],
)
def test_default_is_fast_but_for_float32_on_a_processor(device: str, dtype: torch.dtype, expected: str) -> None:
    """What is named stays; another name is refused."""
    place = torch.device(device)
    assert default_precision(place, dtype) == checked_precision(None, place, dtype) == expected
    assert checked_precision("published", place, dtype) == "published"
    with pytest.raises(ConfigError, match="precision is 'exact'; expected published or fast"):
        checked_precision("exact", place, dtype)


def test_names_of_tensors_have_the_types_that_casting_gives() -> None:
    """A loader asks by name, before there is a tensor."""
    network = fast_model(torch.bfloat16)
    kinds: dict[str, Tensor] = network.state_dict()
    assert {name: network.weight_type(name, torch.bfloat16) for name in kinds} == {
        name: tensor.dtype for name, tensor in kinds.items()
    }
