"""Checkpoints of the reference: read, renamed, refused with reasons, written back as they were."""

import os
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ssa_stream.checkpoints import export_reference, import_reference, load_checkpoint, save_checkpoint
from ssa_stream.checkpoints.reference import reference_layout
from ssa_stream.errors import CheckpointError
from ssa_stream.model import SSA, SsaConfig
from tests.support.tiny_model import model_with_presence, tiny_config, told_model

State = Mapping[str, Tensor]
CLIP = "backbone.clip_model."


class Custom:
    """Something that only its own code can restore."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.getcwd, ()


def written(path: Path, content: object, **options: Any) -> Path:
    """A torch file with this content."""
    torch.save(content, path, **options)
    return path


@pytest.mark.parametrize("wrapped", [True, False], ids=["under_model", "bare"])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_import_reads_both_layouts_and_both_containers(
    tmp_path: Path, config: SsaConfig, reference_state: State, state: State, wrapped: bool, zipped: bool
) -> None:
    """A trainer's dictionary or a bare state dict, in torch's new or old container."""
    content = {"model": dict(reference_state)} if wrapped else dict(reference_state)
    path = written(tmp_path / "x.pth", content, _use_new_zipfile_serialization=zipped)
    imported = import_reference(path, config)
    assert list(imported) == list(state)
    assert all(torch.equal(imported[key], state[key]) for key in state)


def test_import_ignores_what_lies_beside_the_model(tmp_path: Path, config: SsaConfig, reference_state: State) -> None:
    """Optimizer, scheduler, numpy values: none of it matters, and none of it is code."""
    beside = {
        "optimizer": {"state": {0: {"step": 3, "exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 1e-4}]},
        "scheduler": {"last_epoch": np.int64(5), "milestones": np.arange(3), "gamma": np.float64(0.1)},
        "iteration": 75_000,
        "metrics": np.zeros((2, 2), np.float32),
        "author": None,
    }
    path = written(tmp_path / "x.pth", {"model": OrderedDict(reference_state), **beside})
    assert len(import_reference(path, config)) == len(reference_state)


def test_import_takes_numpy_arrays_as_tensors(tmp_path: Path, config: SsaConfig, reference_state: State) -> None:
    """Some converters of model zoos save arrays."""
    path = written(tmp_path / "x.pth", {"model": {key: value.numpy() for key, value in reference_state.items()}})
    assert all(isinstance(tensor, Tensor) for tensor in import_reference(path, config).values())


def test_import_of_objects_with_code_is_refused_without_running_it(
    tmp_path: Path, config: SsaConfig, reference_state: State
) -> None:
    """What to do instead is said; the object's code does not run."""
    path = written(tmp_path / "x.pth", {"model": dict(reference_state), "trainer": Custom()})
    with pytest.raises(CheckpointError, match=r"getcwd.*weights_only=False"):
        import_reference(path, config)


@pytest.mark.parametrize("stored", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_round_trip_is_exact(tmp_path: Path, config: SsaConfig, reference_state: State, stored: torch.dtype) -> None:
    """Import, save, export: the same bits, types, names and order, in the wrapper that the reference reads."""
    before = OrderedDict((key, tensor.to(stored)) for key, tensor in reference_state.items())
    imported = import_reference(written(tmp_path / "a.pth", {"model": before}), config)
    save_checkpoint(tmp_path / "b.safetensors", imported, config)
    export_reference(tmp_path / "b.safetensors", tmp_path / "c.pth")
    after = torch.load(tmp_path / "c.pth", weights_only=True)["model"]
    assert list(after) == list(before)
    assert all(after[key].dtype == stored and torch.equal(after[key], before[key]) for key in before)


def test_export_of_a_network_of_ours_has_the_reference_order(
    tmp_path: Path, config: SsaConfig, checkpoint: Path
) -> None:
    """A network trained here has no loss buffers; they are added, and the order is the reference's."""
    model: SSA = load_checkpoint(checkpoint)
    save_checkpoint(tmp_path / "trained.safetensors", model, config)
    export_reference(tmp_path / "trained.safetensors", tmp_path / "x.pth")
    exported = torch.load(tmp_path / "x.pth", weights_only=True)["model"]
    assert list(exported) == list(reference_layout(config))
    torch.testing.assert_close(exported["criterion.empty_weight"], torch.tensor([1.0, 0.1]))


@pytest.mark.parametrize(
    ("build", "part"),
    [(told_model, "frame_decoder.mask_moments"), (model_with_presence, "video_decoder.presence")],
    ids=["moments", "presence"],
)
def test_network_that_the_reference_has_no_names_for_is_refused(
    build: Callable[[], SSA], part: str, tmp_path: Path
) -> None:
    """Extensions are ours alone."""
    model = build()
    save_checkpoint(tmp_path / "ours.safetensors", model, model.config)
    with pytest.raises(CheckpointError, match=f"has {part}, which the authors'"):
        export_reference(tmp_path / "ours.safetensors", tmp_path / "x.pth")
    assert not (tmp_path / "x.pth").exists()
    with pytest.raises(CheckpointError, match=f"{part}: false"):
        import_reference(written(tmp_path / "y.pth", {"model": {"a": torch.zeros(1)}}), model.config)


def test_mismatch_is_told_in_the_references_names(tmp_path: Path, config: SsaConfig, reference_state: State) -> None:
    """Who trained the checkpoint knows only these."""
    changed = dict(reference_state)
    del changed["vita_module.fq_pos.weight"]
    changed["sem_seg_head.extra.weight"] = torch.zeros(1)
    changed["resizer.fc.bias"] = torch.zeros(3)
    with pytest.raises(CheckpointError) as caught:
        import_reference(written(tmp_path / "x.pth", {"model": changed}), config)
    message = str(caught.value)
    assert "1 missing: vita_module.fq_pos.weight" in message
    assert "1 unexpected: sem_seg_head.extra.weight" in message
    assert "resizer.fc.bias is [3], expected [64]" in message


def test_import_as_another_size_asks_for_the_right_one(reference_file: Path) -> None:
    """The commonest mistake."""
    with pytest.raises(CheckpointError, match=r"--model"):
        import_reference(reference_file, tiny_config(num_queries=9))


def test_import_without_clip_takes_it_from_beside(
    tmp_path: Path, config: SsaConfig, reference_state: State, state: State
) -> None:
    """A checkpoint saved without the frozen part is whole again with CLIP's weights; alone it says what it needs."""
    learned = {key: tensor for key, tensor in reference_state.items() if not key.startswith(CLIP)}
    path = written(tmp_path / "x.pth", {"model": learned})
    with pytest.raises(CheckpointError, match=r"Only CLIP's weights are missing.*--download-clip"):
        import_reference(path, config)
    clip = {key.removeprefix(CLIP): tensor for key, tensor in reference_state.items() if key.startswith(CLIP)}
    imported = import_reference(path, config, clip=clip)
    assert all(torch.equal(imported[key], state[key]) for key in state)


def test_export_without_clip_is_refused(tmp_path: Path, config: SsaConfig, state: State) -> None:
    """The reference could not read it."""
    save_checkpoint(tmp_path / "x.safetensors", state, config, include_clip=False)
    with pytest.raises(CheckpointError, match="--clip FILE"):
        export_reference(tmp_path / "x.safetensors", tmp_path / "x.pth")
    assert not (tmp_path / "x.pth").exists()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ([torch.zeros(1)], "holds list"),
        ({"model": {}}, "is empty: its dictionary holds no tensors; expected a state dict"),
        ({"model": {"a": 3}}, "has int under 'a'"),
        ({3: torch.zeros(1)}, "under 3"),
        (torch.zeros(1), "holds Tensor"),
    ],
    ids=["list", "empty", "number", "number_as_name", "tensor"],
)
def test_other_content_is_refused(tmp_path: Path, config: SsaConfig, content: object, told: str) -> None:
    """What came, and what was expected."""
    with pytest.raises(CheckpointError, match=told):
        import_reference(written(tmp_path / "x.pth", content), config)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_cut_torch_file_is_refused(reference_file: Path, config: SsaConfig, share: float) -> None:
    """A download that broke off."""
    content = reference_file.read_bytes()
    reference_file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CheckpointError, match=r"not a whole torch file|holds objects"):
        import_reference(reference_file, config)


@pytest.mark.parametrize("content", [b"hello", b"\x80\x02.", b"\x00" * 100], ids=["text", "empty_pickle", "zeros"])
def test_garbage_is_refused(tmp_path: Path, config: SsaConfig, content: bytes) -> None:
    """Never a stack trace."""
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"x\.pth"):
        import_reference(tmp_path / "x.pth", config)
