"""Our checkpoint file: what goes in comes out, and what is wrong with a file is told."""

import json
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ssa_stream.checkpoints import load_checkpoint, read_info, save_checkpoint
from ssa_stream.checkpoints.info import FORMAT_VERSION
from ssa_stream.checkpoints.layout import build_model, empty_model
from ssa_stream.checkpoints.reference_keys import CRITERION_KEYS
from ssa_stream.checkpoints.store import read_tensors
from ssa_stream.errors import CheckpointError, ConfigError
from ssa_stream.model import SSA, SsaConfig
from tests.support.tiny_model import tiny_config

State = Mapping[str, Tensor]


def rewritten(path: Path, metadata: Mapping[str, str], tensors: State | None = None) -> Path:
    """The same file with other metadata or tensors."""
    header = json.loads(path.read_bytes()[8 : 8 + int.from_bytes(path.read_bytes()[:8], "little")])
    kept = load_file(path) if tensors is None else dict(tensors)
    save_file(kept, path, header["__metadata__"] | dict(metadata))
    return path


def test_saved_state_loads_bit_for_bit(checkpoint: Path, state: State) -> None:
    """Every tensor, and evaluation mode; the loss buffers stay in the file and out of the network."""
    model = load_checkpoint(checkpoint)
    ours = model.state_dict()
    assert not model.training
    assert set(ours) == set(state) - set(CRITERION_KEYS)
    assert all(torch.equal(ours[key], state[key]) for key in ours)
    assert all(torch.equal(read_tensors(checkpoint)[key], state[key]) for key in CRITERION_KEYS)


def test_loaded_model_equals_a_built_and_filled_one(checkpoint: Path, config: SsaConfig, state: State) -> None:
    """Building without initialisation loses nothing: no buffer that is not in the file, no frozen parameter."""
    built = SSA(config).eval()
    built.load_state_dict({key: tensor for key, tensor in state.items() if key not in CRITERION_KEYS})
    loaded = load_checkpoint(checkpoint)
    theirs, ours = dict(built.named_buffers()), dict(loaded.named_buffers())
    assert theirs.keys() == ours.keys()
    assert all(torch.equal(theirs[name], ours[name]) for name in theirs)
    frozen = {name for name, parameter in built.named_parameters() if not parameter.requires_grad}
    assert {name for name, parameter in loaded.named_parameters() if not parameter.requires_grad} == frozen
    prompts = ["a dog", "the red car turning left"]
    for one, other in zip(built.encode_text(prompts), loaded.encode_text(prompts), strict=True):
        assert torch.equal(one, other)


def test_built_model_can_be_trained_and_moved(config: SsaConfig, state: State) -> None:
    """Parameters made of a file's tensors are ordinary ones: written in place, cast, saved again."""
    model = build_model(config, {key: tensor.clone() for key, tensor in state.items()})
    with torch.no_grad():
        model.video_mask_features.weight.add_(1.0)
    assert model.cast(torch.bfloat16).clip.attn_mask.dtype == torch.bfloat16
    assert empty_model(config).video_mask_features.weight.is_meta


@pytest.mark.parametrize("stored", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_file_is_cast_up(tmp_path: Path, config: SsaConfig, state: State, stored: torch.dtype) -> None:
    """Stored small, run in float32: the values are the stored ones."""
    info = save_checkpoint(tmp_path / "half.safetensors", state, config, dtype=stored)
    assert info.dtypes.keys() == {"F16" if stored == torch.float16 else "BF16"}
    loaded = load_checkpoint(info.path)
    assert loaded.dtype == torch.float32
    assert all(torch.equal(tensor, state[key].to(stored).float()) for key, tensor in loaded.state_dict().items())


def test_load_in_bfloat16_keeps_the_pixel_decoder_in_float32(checkpoint: Path) -> None:
    """As everywhere else."""
    model = load_checkpoint(checkpoint, dtype=torch.bfloat16)
    assert model.dtype == torch.bfloat16
    assert {parameter.dtype for parameter in model.pixel_decoder.parameters()} == {torch.float32}


def test_load_fast_takes_types_by_precision(checkpoint: Path) -> None:
    """No float32 copy of what is computed in bfloat16."""
    model = load_checkpoint(checkpoint, dtype=torch.bfloat16, precision="fast")
    assert model.precision == "fast"
    assert all(tensor.dtype == model.weight_type(name, torch.bfloat16) for name, tensor in model.state_dict().items())
    assert model.pixel_decoder.output.weight.dtype == torch.bfloat16


def test_model_without_loss_buffers_saves_and_loads(tmp_path: Path, config: SsaConfig, checkpoint: Path) -> None:
    """A network is a state, too."""
    model = load_checkpoint(checkpoint)
    save_checkpoint(tmp_path / "again.safetensors", model, config)
    again = load_checkpoint(tmp_path / "again.safetensors").state_dict()
    assert all(torch.equal(again[key], tensor) for key, tensor in model.state_dict().items())


def test_read_info_tells_what_is_inside(checkpoint: Path, config: SsaConfig, state: State) -> None:
    """Everything but the tensors themselves."""
    info = read_info(checkpoint)
    assert info.config == config
    assert info.contains_clip
    assert info.notes == {"origin": "seeded"}
    assert info.created_by.startswith("ssa_stream ")
    assert info.format_version == FORMAT_VERSION
    assert info.size_bytes == checkpoint.stat().st_size
    assert sum(info.parameters.values()) == sum(p.numel() for p in empty_model(config).parameters())
    assert info.parameters["clip"] == sum(t.numel() for key, t in state.items() if key.startswith("clip."))
    assert set(info.parameters) == {name.partition(".")[0] for name, _ in empty_model(config).named_parameters()}


def test_checkpoint_without_clip_needs_it_at_load(tmp_path: Path, config: SsaConfig, state: State) -> None:
    """The small file loads with CLIP given beside it; without, the three ways to get it are named."""
    info = save_checkpoint(tmp_path / "small.safetensors", state, config, include_clip=False)
    assert not info.contains_clip
    assert "clip" not in info.parameters
    with pytest.raises(CheckpointError, match=r"--clip FILE.*--clip CHECKPOINT.*--download-clip \[TAG\]"):
        load_checkpoint(info.path)
    clip = {key.removeprefix("clip."): tensor for key, tensor in state.items() if key.startswith("clip.")}
    loaded = load_checkpoint(info.path, clip=clip).state_dict()
    assert all(torch.equal(tensor, state[key]) for key, tensor in loaded.items())
    del clip["logit_scale"]
    with pytest.raises(CheckpointError, match=r"1 missing: clip\.logit_scale"):
        load_checkpoint(info.path, clip=clip)


def test_saved_file_has_ordinary_permissions_and_no_leftovers(checkpoint: Path) -> None:
    """As any file that the user makes; the temporary one is gone."""
    beside = checkpoint.with_name("plain")
    beside.touch()
    assert stat.S_IMODE(checkpoint.stat().st_mode) == stat.S_IMODE(beside.stat().st_mode)
    assert {path.name for path in checkpoint.parent.iterdir()} == {checkpoint.name, "plain"}


def test_failed_save_leaves_the_old_file(
    checkpoint: Path, config: SsaConfig, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever happens while writing, the name points to a whole file."""
    before = checkpoint.read_bytes()

    def fail(tensors: State, path: Path, metadata: dict[str, str]) -> None:
        path.write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ssa_stream.checkpoints.store.save_file", fail)
    with pytest.raises(CheckpointError, match="No space left"):
        save_checkpoint(checkpoint, state, config)
    assert checkpoint.read_bytes() == before
    assert list(checkpoint.parent.iterdir()) == [checkpoint]


def test_save_of_views_and_tied_tensors_keeps_values(tmp_path: Path, config: SsaConfig, state: State) -> None:
    """Tensors that share memory or are parts of a larger one are written like any other."""
    tied = dict(state)
    tied["video_decoder.norm.bias"] = tied["video_decoder.norm.weight"]
    tied["video_mask_features.bias"] = torch.arange(128.0)[::2]
    info = save_checkpoint(tmp_path / "tied.safetensors", tied, config)
    assert all(torch.equal(tensor, tied[key]) for key, tensor in read_tensors(info.path).items())
    assert info.size_bytes == pytest.approx(sum(4 * tensor.numel() for tensor in tied.values()), rel=0.05)


def test_save_into_missing_folder_or_over_folder_is_refused(tmp_path: Path, config: SsaConfig, state: State) -> None:
    """Told before anything is written."""
    with pytest.raises(CheckpointError, match="create it"):
        save_checkpoint(tmp_path / "no" / "x.safetensors", state, config)
    with pytest.raises(CheckpointError, match="is a folder"):
        save_checkpoint(tmp_path, state, config)


def test_save_in_float16_of_too_large_values_is_refused(tmp_path: Path, config: SsaConfig, state: State) -> None:
    """Infinity would be saved silently otherwise."""
    large = dict(state) | {"video_mask_features.bias": torch.full((64,), 1e6)}
    with pytest.raises(CheckpointError, match=r"video_mask_features\.bias.*bfloat16"):
        save_checkpoint(tmp_path / "x.safetensors", large, config, dtype=torch.float16)
    assert not list(tmp_path.iterdir())


def test_save_of_another_networks_tensors_is_refused(tmp_path: Path, state: State) -> None:
    """A file never disagrees with its own configuration."""
    with pytest.raises(CheckpointError, match="of another shape"):
        save_checkpoint(tmp_path / "x.safetensors", state, tiny_config(num_queries=9))


@pytest.mark.parametrize("kept", [0, 7, 500, 0.5, 0.999], ids=["empty", "no_header", "half_header", "half", "almost"])
def test_cut_file_is_refused(checkpoint: Path, kept: float) -> None:
    """A download that broke off is told as one, by header and by load alike."""
    content = checkpoint.read_bytes()
    checkpoint.write_bytes(content[: int(kept if kept >= 1 or kept == 0 else kept * len(content))])
    for read in (read_info, load_checkpoint):
        with pytest.raises(CheckpointError, match="not a whole safetensors file"):
            read(checkpoint)


@pytest.mark.parametrize(
    "content", [b"\x00" * 4096, b"PK\x03\x04 not a zip", b"\xff" * 64], ids=["zeros", "zip", "ones"]
)
def test_garbage_is_refused(tmp_path: Path, content: bytes) -> None:
    """One clear message, which says what to do with a checkpoint of the reference."""
    path = tmp_path / "x.pth"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="checkpoint import"):
        read_info(path)


def test_missing_file_and_folder_are_refused(tmp_path: Path) -> None:
    """No stack trace for a typing error."""
    with pytest.raises(CheckpointError, match="there is no file"):
        load_checkpoint(tmp_path / "nowhere.safetensors")
    with pytest.raises(CheckpointError, match="is a folder"):
        read_info(tmp_path)


def test_foreign_safetensors_file_is_refused(tmp_path: Path) -> None:
    """Other programs use the same container."""
    save_file({"weight": torch.zeros(2)}, tmp_path / "x.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError, match="not a checkpoint of ssa_stream"):
        load_checkpoint(tmp_path / "x.safetensors")


@pytest.mark.parametrize(
    ("metadata", "told"),
    [
        ({"format_version": str(FORMAT_VERSION + 1)}, "update ssa_stream"),
        ({"format_version": "one"}, "'one'"),
        ({"config": "{"}, "cannot be understood"),
        ({"config": "{}"}, "cannot be understood"),
        ({"notes": "[1]"}, "cannot be understood"),
    ],
    ids=["newer", "no_number", "cut_config", "empty_config", "notes"],
)
def test_metadata_that_cannot_be_read_is_told(checkpoint: Path, metadata: dict[str, str], told: str) -> None:
    """A newer file is not misread, a damaged one not guessed at."""
    with pytest.raises(CheckpointError, match=told):
        read_info(rewritten(checkpoint, metadata))


def test_mismatch_lists_missing_unexpected_and_misshapen(checkpoint: Path, state: State) -> None:
    """All three kinds at once; long lists are cut and counted."""
    changed = {key: tensor for key, tensor in state.items() if not key.startswith("adapters.0.")}
    changed["extra.weight"] = torch.zeros(1)
    changed["video_decoder.norm.weight"] = torch.zeros(3)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(rewritten(checkpoint, {}, changed))
    message = str(caught.value)
    assert "20 missing: adapters.0." in message
    assert "and 14 more" in message
    assert "1 unexpected: extra.weight" in message
    assert "video_decoder.norm.weight is [3], expected [64]" in message


def test_integer_tensors_are_refused(checkpoint: Path, state: State) -> None:
    """Quantised files are not ours."""
    changed = dict(state) | {"video_decoder.norm.weight": torch.zeros(64, dtype=torch.int8)}
    with pytest.raises(CheckpointError, match=r"video_decoder\.norm\.weight \(torch\.int8\)"):
        load_checkpoint(rewritten(checkpoint, {}, changed))


def test_loaded_model_does_not_depend_on_the_file(checkpoint: Path) -> None:
    """The file may be replaced, cut or deleted while the network runs."""
    model = load_checkpoint(checkpoint)
    checkpoint.write_bytes(b"")
    assert all(bool(parameter.isfinite().all()) for parameter in model.parameters())


@pytest.mark.parametrize(("device", "dtype"), [("tpu9", torch.float32), ("cpu", torch.float64), ("cpu", torch.int8)])
def test_unusable_device_or_dtype_is_refused(checkpoint: Path, device: str, dtype: torch.dtype) -> None:
    """Told as wrong arguments, not as a fault of the file."""
    with pytest.raises(ConfigError):
        load_checkpoint(checkpoint, device=device, dtype=dtype)
