"""CLIP's weights from a file, from a checkpoint, and downloaded only when asked for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from ssa_stream.checkpoints import clip_tags, clip_weights, download_clip, read_clip, save_checkpoint
from ssa_stream.configs import load_config
from ssa_stream.errors import CheckpointError, ConfigError
from ssa_stream.model import SsaConfig

State = Mapping[str, Tensor]


@pytest.fixture
def clip(state: State) -> dict[str, Tensor]:
    """CLIP's weights under its own names."""
    return {key.removeprefix("clip."): tensor for key, tensor in state.items() if key.startswith("clip.")}


@pytest.fixture
def large() -> SsaConfig:
    """The published network, whose CLIP open_clip publishes."""
    return SsaConfig.from_mapping(load_config("model", "ssa-large"))


@pytest.mark.parametrize("name", ["x.pt", "x.bin", "x.safetensors", "trainer.pt"])
def test_read_clip_from_open_clip_file(tmp_path: Path, config: SsaConfig, clip: dict[str, Tensor], name: str) -> None:
    """open_clip's containers: bare, safetensors, and its trainer's with a prefix from distributed training."""
    path = tmp_path / name
    if name == "trainer.pt":
        torch.save({"epoch": 3, "state_dict": {f"module.{key}": tensor for key, tensor in clip.items()}}, path)
    elif name.endswith(".safetensors"):
        save_file({key: tensor.contiguous() for key, tensor in clip.items()}, path)
    else:
        torch.save(clip, path)
    read = read_clip(path, config)
    assert read.keys() == clip.keys()
    assert all(torch.equal(read[key], clip[key]) for key in clip)


def test_read_clip_from_checkpoint(checkpoint: Path, config: SsaConfig, clip: dict[str, Tensor]) -> None:
    """Only CLIP's tensors, under its own names."""
    read = read_clip(checkpoint, config)
    assert read.keys() == clip.keys()
    assert all(torch.equal(read[key], clip[key]) for key in clip)


def test_read_clip_from_checkpoint_without_it_is_refused(tmp_path: Path, config: SsaConfig, state: State) -> None:
    """It cannot give what it has not."""
    save_checkpoint(tmp_path / "x.safetensors", state, config, include_clip=False)
    with pytest.raises(CheckpointError, match="without CLIP weights"):
        read_clip(tmp_path / "x.safetensors", config)


def test_read_clip_of_another_model_is_refused(
    tmp_path: Path, config: SsaConfig, checkpoint: Path, clip: dict[str, Tensor]
) -> None:
    """Strict, whichever container it came in."""
    torch.save({key: tensor for key, tensor in clip.items() if key != "logit_scale"}, tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match="logit_scale"):
        read_clip(tmp_path / "x.pt", config)
    tiny = SsaConfig.from_mapping(load_config("model", "ssa-tiny"))
    with pytest.raises(CheckpointError, match="not those of ssa_tiny_clip"):
        read_clip(checkpoint, tiny)


@pytest.mark.parametrize("name", ["x.pt", "x.safetensors", "x.npz"])
def test_read_clip_of_garbage_is_refused(tmp_path: Path, config: SsaConfig, name: str) -> None:
    """Whatever open_clip makes of it, one message comes out."""
    (tmp_path / name).write_bytes(b"no weights")
    with pytest.raises(CheckpointError, match="open_clip cannot read"):
        read_clip(tmp_path / name, config)


def test_reading_never_downloads(checkpoint: Path, config: SsaConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network is touched by `download_clip` alone."""

    def forbidden(*args: Any, **options: Any) -> str:
        raise AssertionError("downloaded unasked")

    monkeypatch.setattr(clip_weights, "download_pretrained", forbidden)
    read_clip(checkpoint, config)
    with pytest.raises(CheckpointError):
        read_clip(checkpoint.with_name("nowhere"), config)


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("default", "laion/CLIP-convnext_large_d_320.laion2B-s29B-b131K-ft-soup/"),
        ("laion2b_s29b_b131k_ft", "laion/CLIP-convnext_large_d_320.laion2B-s29B-b131K-ft/"),
    ],
    ids=["default", "named"],
)
def test_download_clip_asks_open_clip_for_the_tag(
    large: SsaConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tag: str, expected: str
) -> None:
    """By name and tag; what comes is read like any file."""
    asked: list[dict[str, Any]] = []
    read: list[tuple[Path, SsaConfig]] = []
    downloaded = tmp_path / "weights.safetensors"
    downloaded.touch()

    def fake_download(source: dict[str, Any]) -> str:
        asked.append(source)
        return str(downloaded)

    def fake_read(path: Path, config: SsaConfig) -> dict[str, Tensor]:
        read.append((path, config))
        return {}

    monkeypatch.setattr(clip_weights, "download_pretrained", fake_download)
    monkeypatch.setattr(clip_weights, "_read_open_clip", fake_read)
    assert download_clip(large, tag) == {}
    assert [source["hf_hub"] for source in asked] == [expected]
    assert read == [(downloaded, large)]


def test_download_clip_unknown_tag_lists_the_known_ones(large: SsaConfig) -> None:
    """Checked before anything is fetched."""
    with pytest.raises(ConfigError, match=r"'openai'.*laion2b_s29b_b131k_ft_soup"):
        download_clip(large, "openai")


def test_download_clip_of_own_definition_is_refused(config: SsaConfig) -> None:
    """Nobody publishes weights of a CLIP that one defined oneself."""
    assert clip_tags(config) == []
    with pytest.raises(ConfigError, match="publishes no weights for tiny-test"):
        download_clip(config)


def test_download_clip_that_fails_says_what_to_do(large: SsaConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """No route to the hub is no stack trace."""

    def fail(source: dict[str, Any]) -> str:
        raise ConnectionError("no route to host")

    monkeypatch.setattr(clip_weights, "download_pretrained", fail)
    with pytest.raises(CheckpointError, match=r"no route to host.*--clip FILE"):
        download_clip(large)
