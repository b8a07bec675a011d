"""The rule for outputs holds for commands that write other files than `run` and `up`."""

import os
from pathlib import Path

import pytest

from tests.support.command_line import run_command, write_tiny_config
from tests.support.graph_streams import make_material

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("warm_python")]

_OLD = b"what was here before"
_SYNTH = ("data", "synth", "--videos", "1", "--height", "32", "--width", "48", "--out", "set")


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A small checkpoint and a link to it."""
    path = make_material(tmp_path, num_frames=1).checkpoint
    (tmp_path / "link.safetensors").symlink_to(path)
    return path


@pytest.mark.parametrize("command", [("convert",), ("export",), ("import", "--model", "tiny.yaml")])
def test_checkpoint_never_writes_over_what_it_reads(checkpoint: Path, command: tuple[str, ...]) -> None:
    """By whatever name, with --overwrite too; another file only with it."""
    folder = checkpoint.parent
    write_tiny_config(folder)
    (folder / "other").write_bytes(_OLD)
    before = _contents(folder)
    name, *options = command
    for out in (checkpoint.name, "./link.safetensors"):
        done = run_command("checkpoint", name, checkpoint.name, "-o", out, "--overwrite", *options, cwd=folder)
        assert done.returncode == 2, done.stderr
        assert "(the checkpoint) itself" in done.stderr.replace("\n", " ")
    done = run_command("checkpoint", name, checkpoint.name, "-o", "other", *options, cwd=folder)
    assert (done.returncode, "exists already" in done.stderr) == (2, True), done.stderr
    assert _contents(folder) == before


def test_checkpoint_convert_replaces_if_told_and_never_a_pipe(checkpoint: Path) -> None:
    """A device that is replaced by a file is lost to everybody."""
    folder = checkpoint.parent
    (folder / "out.safetensors").write_bytes(_OLD)
    done = run_command("checkpoint", "convert", checkpoint.name, "-o", "out.safetensors", "--overwrite", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert (folder / "out.safetensors").stat().st_size > 1000
    os.mkfifo(folder / "pipe")
    done = run_command("checkpoint", "convert", checkpoint.name, "-o", "pipe", "--overwrite", cwd=folder)
    assert (done.returncode, "a pipe or a device" in done.stderr) == (1, True), done.stderr
    assert (folder / "pipe").is_fifo()


def test_data_set_is_replaced_only_if_told(tmp_path: Path) -> None:
    """Else it stays as it is, to the byte; another split goes into a folder of its own."""
    assert run_command(*_SYNTH, "--frames", "2", cwd=tmp_path).returncode == 0
    before = _contents(tmp_path)
    done = run_command(*_SYNTH, "--frames", "3", cwd=tmp_path)
    assert (done.returncode, "exists already" in done.stderr) == (2, True), done.stderr
    assert _contents(tmp_path) == before
    done = run_command(*_SYNTH, "--frames", "3", "--overwrite", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "set" / "JPEGImages").glob("*/*.jpg"))) == 3
    assert sorted(path.name for path in (tmp_path / "set").iterdir()) == [
        "JPEGImages", "mask_dict.json", "meta_expressions.json",
    ]  # fmt: skip


def test_eval_keeps_its_data_and_former_reports(tmp_path: Path) -> None:
    """Refused before the model is loaded."""
    assert run_command(*_SYNTH, "--frames", "2", cwd=tmp_path).returncode == 0
    (tmp_path / "r.json").write_bytes(_OLD)
    picture = next((tmp_path / "set" / "JPEGImages").glob("*/*.jpg"))
    before = _contents(tmp_path)
    command = ("eval", "--data", "set", "--random-weights")
    for options, said in (
        (("--json", "set/mask_dict.json", "--overwrite"), "(--data) itself"),
        (("--sheet", str(picture), "--overwrite"), "is a file of"),
        (("--json", "r.json"), "exists already"),
        (("--json", "x.png", "--sheet", "./x.png"), "are one file"),
    ):
        done = run_command(*command, *options, cwd=tmp_path)
        assert (done.returncode, said in done.stderr.replace("\n", " ")) == (2, True), done.stderr
    assert _contents(tmp_path) == before


def test_train_keeps_weights_that_no_run_of_its_own_left(tmp_path: Path) -> None:
    """A folder with a checkpoint and without a state is somebody else's, with --resume too."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "best.safetensors").write_bytes(_OLD)
    for options in ((), ("--resume",)):
        done = run_command("train", "smoke", "--out", "run", "--accelerator", "cpu", *options, cwd=tmp_path)
        assert (done.returncode, "best.safetensors exists" in done.stderr) == (2, True), done.stderr
    assert _contents(tmp_path) == {"run/best.safetensors": _OLD}


def test_demo_can_be_repeated_and_replaces_its_own_files_only(tmp_path: Path) -> None:
    """And the command that it prints can be, too."""
    folder = tmp_path / "demo"
    folder.mkdir()
    (folder / "mine.mp4").write_bytes(_OLD)
    for _ in range(2):
        done = run_command("demo", "--out", "demo", "--seconds", "1", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    done = run_command("up", "demo/pipeline.yaml", "-q", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(_contents(folder)) == ["input.mp4", "masks.jsonl", "mine.mp4", "overlay.mp4", "pipeline.yaml"]
    assert (folder / "mine.mp4").read_bytes() == _OLD
