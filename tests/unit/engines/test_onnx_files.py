"""A network as ONNX files: written by the command, run by the example where torch and ssa_stream cannot be imported."""

import runpy
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

from ssa_stream.checkpoints import save_checkpoint
from ssa_stream.cli.main import main
from ssa_stream.engines import EngineCache
from ssa_stream.engines.cache import CACHE_VARIABLE
from ssa_stream.model.alignment import assign_slots
from ssa_stream.streaming import ReferSession, SessionConfig, TrackConfig
from tests.support.command_line import ROOT, run_command
from tests.support.engine_network import WINDOW, engine_network
from tests.support.tiny_model import random_frames

pytestmark = pytest.mark.slow

SENTENCE = "the red car"
_WITHOUT_TORCH = (
    "import runpy, sys; sys.modules |= dict.fromkeys(('torch', 'ssa_stream', 'open_clip')); "
    "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
)


def _export(*words: str) -> int:
    """Run `ssa-stream engine export` in this process, which has torch."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["ssa-stream", "engine", "export", *words])
        with pytest.raises(SystemExit) as ended:
            main()
    return int(ended.value.code or 0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, built_engines: EngineCache) -> Path:
    """A folder with a network, its files in `onnx`, and pictures, more than a window."""
    path = tmp_path_factory.mktemp("files")
    save_checkpoint(path / "net.safetensors", engine_network(), engine_network().config)
    for number, frame in enumerate(random_frames(WINDOW + 2, (60, 90))):
        Image.fromarray(frame).save(path / f"{number}.png")
    words = ["--size", "90x60", "--short-edge", "64", "--window", str(WINDOW), "-c", str(path / "net.safetensors")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE_VARIABLE, str(built_engines.root))
        assert _export(str(path / "onnx"), *words) == 0
    return path


def test_example_without_torch_makes_the_masks_of_a_session(folder: Path) -> None:
    """Of a session without memory beyond its window and with overlaps left as they are."""
    pictures = sorted(folder.glob("*.png"))
    program = (sys.executable, "-c", _WITHOUT_TORCH, ROOT / "examples" / "onnx_without_torch.py")
    result = run_command("onnx", SENTENCE, *pictures, "--out", "masks", cwd=folder, program=program)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    config = SessionConfig(window=WINDOW, half_life_frames=0, short_edge_px=64, tracks=TrackConfig(min_own_share=0))
    session = ReferSession(engine_network(), config, [SENTENCE])
    for picture, line in zip(pictures, lines, strict=True):
        (found,) = session.push(np.asarray(Image.open(picture)))
        expected, made = found.merged(), np.asarray(Image.open(folder / "masks" / picture.name))
        assert 0.1 < expected.mean() < 0.9
        assert np.count_nonzero(expected & made) > 0.99 * np.count_nonzero(expected | made)
        assert line.endswith(f", pixels {np.count_nonzero(made)}, probability {found.probability:.2f}")


def test_files_say_what_they_are_of(folder: Path) -> None:
    """Stage and sizes; the inputs and outputs that docs/engines.md lists; any number of rows."""
    listed = (ROOT / "docs" / "engines.md").read_text()
    stages = {path.stem: onnx.load(path) for path in (folder / "onnx").glob("*.onnx")}
    assert sorted(stages) == ["condition", "project", "queries", "stem", "text", "window"]
    for name, model in stages.items():
        facts = {entry.key: entry.value for entry in model.metadata_props}
        assert facts["stage"] == name
        assert (facts["source_size"], facts["padded_size"], facts["window"]) == ("60 90", "64 96", str(WINDOW))
        for value in (*model.graph.input, *model.graph.output):
            assert f"`{value.name}`" in listed, f"{name}: {value.name}"
            assert value.type.tensor_type.shape.dim[0].dim_param, f"{name}: {value.name}"


def test_files_that_are_there_are_not_replaced(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Unless that is asked for."""
    assert _export(str(folder / "onnx"), "--size", "90x60") != 0
    assert "text.onnx exists already; add --overwrite" in capsys.readouterr().err


def test_example_puts_queries_in_the_order_of_a_session() -> None:
    """Masks of a small network hardly depend on it."""
    drawn = torch.Generator().manual_seed(0)
    before, queries = torch.randn(6, 8, generator=drawn), torch.randn(6, 8, generator=drawn)
    slots = runpy.run_path(str(ROOT / "examples" / "onnx_without_torch.py"))["_slots"]
    expected = assign_slots(before, queries).tolist()
    assert slots(before.numpy(), queries.numpy()).tolist() == expected
    assert expected != sorted(expected)
