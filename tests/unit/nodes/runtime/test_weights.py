"""From a pipeline's model section to the network."""

import shutil
from collections.abc import Collection
from pathlib import Path

import pytest
import structlog
import torch

from ssa_stream.checkpoints import load_checkpoint
from ssa_stream.errors import CheckpointError, ConfigError
from ssa_stream.model import SSA, fold_weights
from ssa_stream.nodes.pipeline import ModelSection
from ssa_stream.nodes.runtime import weights
from ssa_stream.nodes.runtime.weights import OtherWeightsError, WeightsLoader, load_network, read_weights
from ssa_stream.weight_files import DEFAULT_CHECKPOINT, WeightFile, look, shipped_checkpoints


def test_random_weights_are_the_same_in_every_process() -> None:
    """Encoder and queries are parts of one network; the generator of others is left alone."""
    before = torch.get_rng_state()
    section = ModelSection(random_weights=True, device="cpu")
    first, second = load_network(section).state_dict(), load_network(section).state_dict()
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert torch.equal(torch.get_rng_state(), before)


def test_section_that_names_no_weights_takes_the_shipped_ones() -> None:
    """Masks that mean nothing are not made by mistake."""
    shipped = fold_weights(load_checkpoint(DEFAULT_CHECKPOINT)).state_dict()
    taken = load_network(ModelSection(device="cpu")).state_dict()
    assert all(torch.equal(taken[key], shipped[key]) for key in shipped)


def test_checkpoint_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """The checkpoint's own error is kept."""
    with pytest.raises(CheckpointError):
        load_network(ModelSection(checkpoint=str(tmp_path / "gone.safetensors"), device="cpu"))


def test_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """No silent change of the device; only `auto` chooses."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"model\.device is 'cuda:1' but this machine offers: cpu;"):
        load_network(ModelSection(random_weights=True, device="cuda:1"))
    assert next(load_network(ModelSection(random_weights=True, device="auto")).parameters()).device.type == "cpu"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A copy of the shipped one, which a test may change."""
    return Path(shutil.copy(shipped_checkpoints()[DEFAULT_CHECKPOINT], tmp_path / "mine.safetensors"))


def test_loader_knows_what_it_has_loaded(checkpoint: Path) -> None:
    """The fingerprint is of the file, by whatever name; the network is loaded once."""
    loader = WeightsLoader(ModelSection(checkpoint=str(checkpoint), device="cpu"))
    assert loader.fingerprint is None
    assert loader.load() is loader.load()
    assert loader.fingerprint == WeightFile.read(DEFAULT_CHECKPOINT).fingerprint


def test_loader_refuses_other_weights_than_it_has_to_have(checkpoint: Path) -> None:
    """They may be as good as the others: the rest of the graph does not have them."""
    expected = WeightFile.read(checkpoint).fingerprint
    with checkpoint.open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x01")
    with pytest.raises(OtherWeightsError, match=rf"but the graph runs with {expected[:12]}; .*ssa-stream reload"):
        WeightsLoader(ModelSection(checkpoint=str(checkpoint), device="cpu"), expected).load()


def test_loader_notices_a_file_that_is_replaced_while_it_is_loaded(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it read may be of both."""

    def load_and_replace(section: ModelSection, parts: Collection[str] | None) -> SSA:
        network = load_network(section, parts)
        checkpoint.with_suffix(".new").write_bytes(checkpoint.read_bytes())
        checkpoint.with_suffix(".new").replace(checkpoint)
        return network

    monkeypatch.setattr(weights, "load_network", load_and_replace)
    loader = WeightsLoader(ModelSection(checkpoint=str(checkpoint), device="cpu"))
    with pytest.raises(OtherWeightsError, match="were replaced while they were loaded"):
        loader.load()
    assert loader.fingerprint is None


def test_random_weights_have_a_fingerprint_of_their_configuration() -> None:
    """The same at every start, another one for another network."""
    first, again, other = (
        read_weights(ModelSection(random_weights=True, name=name)).fingerprint
        for name in ("ssa-tiny", "ssa-tiny", "ssa-base")
    )
    assert first == again != other
    assert first.startswith("random-")


def test_look_shows_what_was_written_into_a_file(checkpoint: Path) -> None:
    """Also where size and content stay."""
    before = look(checkpoint)
    assert look(checkpoint) == before
    with checkpoint.open("r+b") as file:
        file.write(checkpoint.read_bytes()[:8])
    assert look(checkpoint) != before


@pytest.mark.parametrize("content", [b"", b"1234567", b"\xff" * 100, b"\x02\0\0\0\0\0\0\0[]", b"\x02\0\0\0\0\0\0\0{}"])
def test_file_without_a_header_has_a_fingerprint_all_the_same(tmp_path: Path, content: bytes) -> None:
    """That it cannot be loaded is for others to say."""
    path = tmp_path / "odd.safetensors"
    path.write_bytes(content)
    found = WeightFile.read(path)
    assert (len(found.fingerprint), found.network) == (64, "")


def test_engine_that_is_not_built_is_left_to_torch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A node cannot wait for minutes: it says what to do, and the stages are those of torch."""
    monkeypatch.setenv("SSA_STREAM_ENGINES", str(tmp_path))
    section = ModelSection(random_weights=True, device="cpu", engine="onnxruntime")
    network = load_network(section)
    stages = weights.open_stages(network, section)
    images = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with structlog.testing.capture_logs() as logs, torch.inference_mode():
        assert torch.equal(stages.encode_stem(images), network.encode_stem(images))
    (line,) = logs
    assert "not built for pictures of 32x32" in line["text"]
    assert "ssa-stream engine build --engine onnxruntime" in line["text"]
    assert not list(tmp_path.iterdir())


def test_engine_that_is_missing_ends_a_node_with_what_to_do() -> None:
    """Not with other masks than were asked for."""
    section = ModelSection(random_weights=True, device="cpu", engine="onnxruntime:Nosuch")
    with pytest.raises(ConfigError, match="has no NosuchExecutionProvider"):
        WeightsLoader(section).load()
