"""A network as ONNX files: written by the command, run by the example where torch and ssa_stream cannot be imported."""

import sys
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
import yaml
from PIL import Image

from ssa_stream.checkpoints import open_network
from ssa_stream.cli.main import main
from ssa_stream.model import FrameDecoderConfig, VideoDecoderConfig
from ssa_stream.streaming import ReferSession, SessionConfig, TrackConfig
from tests.support.command_line import ROOT, run_command
from tests.support.tiny_model import random_frames, tiny_config

pytestmark = [pytest.mark.e2e]

SENTENCE, THRESHOLD, WINDOW = "the red car", 0.48, 3
_WITHOUT_TORCH = (
    "import runpy, sys; sys.modules |= dict.fromkeys(('torch', 'ssa_stream', 'open_clip')); "
    "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `net.yaml`, the files of that network in `onnx`, and pictures, more than a window."""
    path = tmp_path_factory.mktemp("files")
    small = msgspec.structs.replace(
        tiny_config(),
        frame_decoder=FrameDecoderConfig(num_layers=1, num_heads=2, ffn_dim=32),
        video_decoder=VideoDecoderConfig(num_layers=1, num_heads=2, ffn_dim=32),
    )
    (path / "net.yaml").write_text(yaml.safe_dump(msgspec.to_builtins(small)))
    for number, frame in enumerate(random_frames(WINDOW + 2)):
        Image.fromarray(frame).save(path / f"{number}.png")
    words = ["--size", "53x37", "--window", str(WINDOW), "--random-weights", "--model", str(path / "net.yaml")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["ssa-stream", "engine", "export", str(path / "onnx"), *words])
        with pytest.raises(SystemExit) as ended:
            main()
    assert not ended.value.code
    return path


def test_example_without_torch_makes_the_masks_of_a_session(folder: Path) -> None:
    """Of a session without memory beyond its window and with overlaps left as they are."""
    pictures = sorted(folder.glob("*.png"))
    program = (sys.executable, "-c", _WITHOUT_TORCH, ROOT / "examples" / "onnx_without_torch.py")
    words = ("onnx", SENTENCE, *pictures, "--out", "masks", "--threshold", str(THRESHOLD))
    result = run_command(*words, cwd=folder, program=program)
    assert result.returncode == 0, result.stderr
    config = SessionConfig(
        window=WINDOW, half_life_frames=0, threshold=THRESHOLD, tracks=TrackConfig(min_own_share=0)
    )
    session = ReferSession(open_network(random_weights=str(folder / "net.yaml")), config, [SENTENCE])
    areas = []
    for picture in pictures:
        (found,) = session.push(np.asarray(Image.open(picture)))
        expected, made = found.merged(), np.asarray(Image.open(folder / "masks" / picture.name))
        assert np.count_nonzero(expected & made) > 0.99 * np.count_nonzero(expected | made)
        areas.append(np.count_nonzero(expected) / expected.size)
    assert any(0.05 < area < 0.95 for area in areas)
    assert len(result.stdout.splitlines()) == len(pictures)


def test_files_say_what_they_are_of(folder: Path) -> None:
    """Stage, sizes and the inputs that docs/engines.md lists; any number of rows."""
    model = onnx.load(folder / "onnx" / "condition.onnx")
    facts = {entry.key: entry.value for entry in model.metadata_props}
    assert facts["stage"] == "condition"
    assert (facts["source_size"], facts["padded_size"], facts["window"]) == ("37 53", "64 64", str(WINDOW))
    assert [value.name for value in model.graph.input] == ["stem", "words", "mask", "sentence", "frame_index"]
    assert model.graph.input[1].type.tensor_type.shape.dim[0].dim_param
    listed = (ROOT / "docs" / "engines.md").read_text()
    for path in (folder / "onnx").glob("*.onnx"):
        graph = onnx.load(path).graph
        for value in (*graph.input, *graph.output):
            assert f"`{value.name}`" in listed, f"{path.name}: {value.name}"


def test_files_that_are_there_are_not_replaced(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Unless that is asked for."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.setattr(sys, "argv", ["ssa-stream", "engine", "export", str(folder / "onnx"), "--size", "53x37"])
        main()
    assert ended.value.code
    assert "text.onnx exists already; add --overwrite" in capsys.readouterr().err
