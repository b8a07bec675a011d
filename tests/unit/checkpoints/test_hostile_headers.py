"""A weight file reaches for nothing outside itself, and no number in it is beyond what a network may have."""

import json
import os
import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import open_clip
import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from ssa_stream.checkpoints import import_reference, load_checkpoint, read_clip, read_info, save_checkpoint
from ssa_stream.checkpoints.golden_folder import read_case, read_folder
from ssa_stream.errors import CheckpointError, ConfigError, SessionStateError
from ssa_stream.model import SsaConfig
from ssa_stream.model.clip_sizes import TRUNKS
from ssa_stream.streaming import SessionState
from ssa_stream.streaming.saving import state_from_bytes, state_to_bytes

_WATCHED: list[list[str]] = []


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if _WATCHED and event in ("open", "socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.system"):
        _WATCHED[-1].append(f"{event} {arguments[0]}")


sys.addaudithook(_watch)  # cannot be taken back; does nothing unless a test of this module watches


@pytest.fixture
def reached(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Every file that is opened and every connection that is tried; no connection is made."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    _WATCHED.append([])
    yield _WATCHED[-1]
    _WATCHED.pop()


def _header(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    header: dict[str, Any] = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return header


def _with_config(path: Path, change: dict[str, Any]) -> Path:
    """The same file, with another configuration; `a.b` is `b` within `a`."""
    metadata = _header(path)["__metadata__"]
    config = json.loads(metadata["config"])
    for name, value in change.items():
        *owners, last = name.split(".")
        inner = config
        for owner in owners:
            inner = inner[owner]
        inner[last] = value
    save_file(load_file(path), path, metadata | {"config": json.dumps(config)})
    return path


def test_all_listed_trunks_are_timms_and_all_of_open_clips_are_listed() -> None:
    """So that the list neither promises nor refuses what it should not."""
    assert set(TRUNKS) <= set(timm.list_models())
    used = [open_clip.get_model_config(name).get("vision_cfg", {}) for name in open_clip.list_models()]
    convnexts = {tower["timm_model_name"] for tower in used if "convnext" in tower.get("timm_model_name", "")}
    assert convnexts
    assert convnexts <= set(TRUNKS)


@pytest.mark.parametrize(
    "change",
    [
        {"clip.definition.vision_cfg.timm_model_name": "hf-hub:timm/convnext_atto.d2_in1k"},
        {"clip.definition.vision_cfg.timm_model_name": "local-dir:DECOY/convnext"},
        {"clip.definition.vision_cfg.timm_model_name": "convnext_atto.d2_in1k"},
        {"clip.definition.vision_cfg.timm_model_pretrained": True, "clip.definition.vision_cfg.cache_dir": "DECOY"},
        {"clip.definition.text_cfg.hf_model_name": "bert-base-uncased"},
        {"clip.definition.text_cfg.hf_tokenizer_name": "DECOY"},
        {"clip.definition": None, "clip.name": "hf-hub:laion/CLIP-convnext_base_w-laion2B-s13B-b82K"},
        {"clip.definition": None, "clip.name": "local-dir:DECOY"},
        {"clip.definition": None, "clip.name": "DECOY"},
    ],
    ids=lambda change: "-".join(f"{name.rpartition('.')[2]}" for name in change),
)
def test_name_in_a_header_is_no_address(
    checkpoint: Path, tmp_path: Path, reached: list[str], change: dict[str, Any]
) -> None:
    """No connection is tried and no file but the checkpoint is opened, let alone read."""
    decoy = tmp_path / "decoy"
    (decoy / "convnext").mkdir(parents=True)
    for folder in (decoy, decoy / "convnext"):
        (folder / "config.json").write_text('{"architecture": "convnext_atto"}')
        (folder / "open_clip_config.json").write_text("{}")
    change = {name: str(value).replace("DECOY", str(decoy)) if value else value for name, value in change.items()}
    _with_config(checkpoint, change)
    reached.clear()
    with pytest.raises(CheckpointError):
        load_checkpoint(checkpoint)
    assert [one for one in reached if "socket" in one or "decoy" in one or "subprocess" in one] == []


def test_pretrained_weights_are_never_fetched(checkpoint: Path, reached: list[str]) -> None:
    """Not even for a trunk that is on the list."""
    _with_config(checkpoint, {"clip.definition.vision_cfg.timm_model_pretrained": True})
    load_checkpoint(checkpoint)
    assert [one for one in reached if "socket" in one] == []


@pytest.mark.parametrize("value", [10**8, 2**62, 10**30, 0, -1, True, 1.5, "8", None, [8]], ids=str)
@pytest.mark.parametrize(
    "field",
    [
        "hidden_dim", "num_queries", "adapter_dim", "adapter_heads", "short_edge_px", "long_edge_px", "clip.num_words",
        "pixel_decoder.num_layers", "pixel_decoder.num_heads", "pixel_decoder.num_points", "pixel_decoder.ffn_dim",
        "pixel_decoder.fusion_dim", "pixel_decoder.fusion_heads", "frame_decoder.num_layers", "frame_decoder.num_heads",
        "frame_decoder.ffn_dim", "video_decoder.num_layers", "video_decoder.num_heads", "video_decoder.ffn_dim",
        "clip.definition.embed_dim", "clip.definition.vision_cfg.image_size", "clip.definition.text_cfg.width",
        "clip.definition.text_cfg.context_length", "clip.definition.text_cfg.vocab_size",
        "clip.definition.text_cfg.heads", "clip.definition.text_cfg.layers",
    ],
)  # fmt: skip
def test_every_number_has_bounds(config: SsaConfig, field: str, value: object) -> None:
    """Each is refused by name, at once; nothing is built of it."""
    mapping = config.to_mapping()
    *owners, last = field.split(".")
    inner = mapping
    for owner in owners:
        inner = inner[owner]
    inner[last] = value
    with pytest.raises(ConfigError, match=last):
        SsaConfig.from_mapping(mapping)


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ("config", "[" * 10**5),
        ("config", '{"name": "a", "name": "b"}'),
        ("config", "null"),
        ("config", '{"clip": {"name": "x", "definition": {"vision_cfg": 7}}, "name": "x"}'),
        ("notes", "[" * 10**5),
        ("notes", '{"a": 1}'),
        ("notes", "7"),
        ("notes", '{"a": "\\ud800"}'),
        ("notes", json.dumps({"a": "x" * 10**6})),
        ("format_version", "9" * 5000),
        ("format_version", "²"),
        ("format_version", "-1"),
    ],
)
def test_hostile_metadata_is_told(checkpoint: Path, entry: str, text: str) -> None:
    """One error that names the file."""
    save_file(load_file(checkpoint), checkpoint, _header(checkpoint)["__metadata__"] | {entry: text})
    with pytest.raises(CheckpointError, match=checkpoint.name) as told:
        read_info(checkpoint)
    assert len(str(told.value)) < 2000


def test_tensors_are_not_read_unless_they_are_the_networks(checkpoint: Path) -> None:
    """What a sparse file claims to hold may be larger than this machine."""
    data = checkpoint.read_bytes()
    header, length = _header(checkpoint), int.from_bytes(data[:8], "little")
    end = max(entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__")
    header["surplus"] = {"dtype": "F32", "shape": [2**38], "data_offsets": [end, end + 2**40]}
    text = json.dumps(header).encode()
    with checkpoint.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text + data[8 + length :])
        file.truncate(8 + len(text) + end + 2**40)
    with pytest.raises(CheckpointError, match="surplus"):
        load_checkpoint(checkpoint)


@pytest.mark.parametrize("name", ["pipe", "loop", "device"])
def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path, config: SsaConfig, name: str) -> None:
    """By every reader of weights."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "device").symlink_to("/dev/zero")
    with pytest.raises(CheckpointError):
        read_info(tmp_path / name)
    with pytest.raises(CheckpointError):
        import_reference(tmp_path / name, config)
    with pytest.raises(CheckpointError):
        read_clip(tmp_path / name, config)
    with pytest.raises(CheckpointError):
        read_case(tmp_path / name)
    with pytest.raises(CheckpointError):
        read_folder(tmp_path / name)


def test_clip_weights_of_numpy_are_refused(tmp_path: Path, config: SsaConfig) -> None:
    """open_clip would read another network's weights out of them."""
    path = tmp_path / "clip.npz"
    path.write_bytes(b"PK")
    with pytest.raises(CheckpointError, match="numpy"):
        read_clip(path, config)


@pytest.mark.parametrize(
    "tensor",
    [
        torch.zeros(2, device="meta"),
        torch.zeros(2).to_sparse(),
    ],
    ids=["meta", "sparse"],
)
@pytest.mark.filterwarnings("ignore:Validating sparse tensor")
def test_tensors_that_are_no_plain_numbers_are_refused(tmp_path: Path, config: SsaConfig, tensor: torch.Tensor) -> None:
    """Before anything is computed with them."""
    torch.save({"model": {"criterion.empty_weight": tensor}}, tmp_path / "odd.pth")
    with pytest.raises(CheckpointError, match="plain tensors"):
        import_reference(tmp_path / "odd.pth", config)


def test_note_that_utf8_cannot_hold_does_not_lose_the_weights(
    tmp_path: Path, config: SsaConfig, state: dict[str, torch.Tensor]
) -> None:
    """It is written with escapes: a training is not lost for the name of a file."""
    info = save_checkpoint(tmp_path / "a.safetensors", state, config, notes={"imported from": "caf\udce9.pth"})
    assert "caf" in info.notes["imported from"]


@pytest.mark.parametrize("text", ["1e999999999", "1/0", "9" * 5000, "nan", "1 /2"])
def test_hostile_fraction_in_a_state_is_refused(text: str) -> None:
    """Python would count for years, or divide by zero."""
    good = state_to_bytes(SessionState("x"), "session")
    assert b'\\"1\\"' in good
    header = json.loads(good[8 : 8 + int.from_bytes(good[:8], "little")])
    content = json.loads(header["__metadata__"]["session"])
    plain = json.loads(json.dumps(content["state"]).replace('"1"', json.dumps(text)))
    forged = _forged(plain)
    with pytest.raises(SessionStateError):
        state_from_bytes(forged, SessionState, "session")


def _forged(plain: object) -> bytes:
    """A state with a right digest, as anybody can make one."""
    import safetensors.torch

    from ssa_stream.streaming import saving

    header = {"format": saving.FORMAT, "digest": saving._digest(plain, {}), "state": plain}
    return safetensors.torch.save({}, metadata={"session": json.dumps(header)})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_tensor_that_is_not_finite_is_refused_when_it_is_loaded(
    tmp_path: Path, config: SsaConfig, state: dict[str, torch.Tensor], value: float
) -> None:
    """Else every frame would fail. A training that diverged may be saved all the same, to look at it."""
    key = next(key for key, tensor in state.items() if tensor.dim() == 1)
    broken = state[key].clone()
    broken[0] = value
    save_checkpoint(tmp_path / "a.safetensors", {**state, key: broken}, config)
    with pytest.raises(CheckpointError, match=f"expected finite numbers.*{re.escape(key)}"):
        load_checkpoint(tmp_path / "a.safetensors")
