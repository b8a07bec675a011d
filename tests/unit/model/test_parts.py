"""Parts of the network: together they are the whole, each computes the same, and none computes what it lacks."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ssa_stream.checkpoints import load_checkpoint, open_network, save_checkpoint
from ssa_stream.checkpoints.layout import empty_model
from ssa_stream.errors import CheckpointError, ConfigError, SsaStreamError
from ssa_stream.model import SSA, SsaConfig, to_input
from ssa_stream.model.parts import PARTS
from ssa_stream.nodes.pipeline.names import ROLES
from tests.support.tiny_model import random_frames, tiny_config, tiny_model

STAGES: dict[str, tuple[str, Callable[[SSA], object]]] = {
    "text": ("encoder", lambda model: model.encode_text(["a dog"])),
    "stem": ("encoder", lambda model: model.encode_stem(torch.zeros(1, 3, 32, 32))),
    "condition": ("encoder", lambda model: model.condition(torch.zeros(1, 8, 8, 8), tiny_model().encode_text(["a"]))),
    "queries": (
        "queries",
        lambda model: model.generate_queries((torch.zeros(1, 8, 8, 8),) * 4, tiny_model().encode_text(["a"])),
    ),
    "projection": ("decoder", lambda model: model.project_queries(torch.zeros(1, 6, 64))),
    "window": ("decoder", lambda model: model.decode_window(torch.zeros(1, 1, 6, 64), torch.zeros(1, 1, 64))),
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small network in a file."""
    return save_checkpoint(tmp_path_factory.mktemp("w") / "tiny.safetensors", tiny_model(), tiny_config()).path


def held(model: SSA) -> int:
    """Numbers that a network has in memory."""
    return sum(one.untyped_storage().nbytes() // one.element_size() for one in model.state_dict().values())


def test_parts_are_the_modules_of_the_network_each_once() -> None:
    """Nothing is loaded by two nodes, nothing by none; parts are called as the nodes are."""
    names = [name for modules in PARTS.values() for name in modules]
    assert sorted(names) == sorted(name for name, _ in empty_model(tiny_config()).named_children())
    assert set(PARTS) == set(ROLES) - {"ingest"}


def test_parts_of_a_checkpoint_hold_its_weights_once(checkpoint: Path) -> None:
    """Counted in numbers that have memory: a part has its own and no others."""
    whole = tiny_model().state_dict()
    parts = {part: load_checkpoint(checkpoint, parts=(part,)) for part in PARTS}
    keys = [key for model in parts.values() for key in model.state_dict()]
    assert sorted(keys) == sorted(whole)
    for part, model in parts.items():
        assert all(torch.equal(tensor, whole[key]) for key, tensor in model.state_dict().items())
        own = [name for name, tensor in whole.items() if name.partition(".")[0] in PARTS[part]]
        assert held(model) == sum(whole[name].numel() for name in own)
        assert not any(one.is_meta for one in (*model.parameters(), *model.buffers()))
    assert held(parts["encoder"]) > sum(held(parts[part]) for part in ("queries", "decoder", "masks")) > 0


@torch.inference_mode()
def test_parts_one_after_the_other_compute_what_the_whole_does(checkpoint: Path) -> None:
    """As the nodes of a graph do."""
    encoder, queries, decoder, masks = (load_checkpoint(checkpoint, parts=(part,)) for part in PARTS)
    whole, images = tiny_model(), to_input(random_frames(1))
    text = encoder.encode_text(["a dog"])
    made = queries.generate_queries(encoder.encode_frame(images, text), text)
    window = decoder.decode_window(decoder.project_queries(made.queries)[None], made.text[None])
    expected = whole(images, whole.encode_text(["a dog"]))
    torch.testing.assert_close(window.probability, expected.window.probability)
    torch.testing.assert_close(
        masks.predict_masks(window.mask_embedding, made.mask_features),
        whole.predict_masks(expected.window.mask_embedding, expected.mask_features),
    )


def test_random_weights_of_a_part_are_those_of_the_whole() -> None:
    """Of the whole network, and of another part; two parts together hold both."""
    whole = open_network(random_weights="ssa-tiny")
    both = open_network(random_weights="ssa-tiny", parts=("decoder", "queries"))
    expected = whole.state_dict()
    assert both.state_dict().keys() == {
        key for key in expected if key.partition(".")[0] in (*PARTS["queries"], *PARTS["decoder"])
    }
    assert all(torch.equal(tensor, expected[key]) for key, tensor in both.state_dict().items())


FOREIGN = [(part, stage) for part in PARTS for stage, (owner, _) in STAGES.items() if part != owner]


@pytest.mark.parametrize(("part", "stage"), FOREIGN)
def test_stage_of_another_part_is_refused(part: str, stage: str) -> None:
    """By the name of what is missing, and with what is there."""
    owner, call = STAGES[stage]
    model = empty_model(tiny_config()).keep((part,))
    with pytest.raises(SsaStreamError, match=rf"holds only the parts: '{part}'; \w+ belongs to the part '{owner}'"):
        call(model)


@pytest.mark.parametrize("part", PARTS)
def test_part_knows_its_device_and_type(checkpoint: Path, part: str) -> None:
    """Also without a weight; in bfloat16 all but the pixel decoder is."""
    model = load_checkpoint(checkpoint, dtype=torch.bfloat16, parts=(part,))
    assert (model.device, model.dtype) == (torch.device("cpu"), torch.bfloat16)
    types = {name.partition(".")[0]: one.dtype for name, one in (*model.named_parameters(), *model.named_buffers())}
    assert types.pop("pixel_decoder", torch.float32) == torch.float32
    assert set(types.values()) == {torch.bfloat16}
    assert model.to("meta").device.type == "meta"
    assert not hasattr(model.video_decoder if part != "decoder" else model.clip, "fused")


def test_part_that_is_not_there_is_refused(checkpoint: Path) -> None:
    """Before anything is built or read."""
    with pytest.raises(ConfigError, match="no part 'gateway'; expected one of encoder, queries, decoder, masks"):
        SSA(tiny_config(), parts=("encoder", "gateway"))
    with pytest.raises(ConfigError, match="no part 'ingest'"):
        load_checkpoint(checkpoint, parts=("ingest",))


def test_part_of_a_file_of_another_network_is_refused(tmp_path: Path, checkpoint: Path) -> None:
    """Names and shapes are checked of the whole file, whatever is read of it."""
    config: SsaConfig = tiny_config(num_queries=7)
    other = SSA(config)
    path = save_checkpoint(tmp_path / "other.safetensors", other, config).path
    data = path.read_bytes().replace(b'num_queries\\": 7', b'num_queries\\": 6')
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"frame_decoder\.query_position\.weight"):
        load_checkpoint(path, parts=("encoder",))
