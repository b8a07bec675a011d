"""Outputs through the installed command line: nothing is ever destroyed, and what was written is there and whole."""

import json
import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import av
import pytest
import yaml

from ssa_stream.sinks.overlay_video import has_pictures
from tests.support.command_line import CONSOLE_SCRIPT, run_command, running, write_tiny_config
from tests.support.graph_streams import Material, graph_of, make_material
from tests.support.graphs import listing, watched
from tests.support.video_files import write_video
from tests.support.waiting import until, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("warm_python")]

_NUM_FRAMES = 30
_OLD = b"what was here before"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a video, links to it, and a small network's configuration."""
    write_video(tmp_path / "in.mp4", _NUM_FRAMES)
    (tmp_path / "link.mp4").symlink_to("in.mp4")
    os.link(tmp_path / "in.mp4", tmp_path / "hard.mp4")
    write_tiny_config(tmp_path)
    return tmp_path


def _run(folder: Path, *arguments: str, source: str = "in.mp4") -> subprocess.CompletedProcess[str]:
    model = ("--random-weights", "--model", "tiny.yaml", "--device", "cpu")
    return run_command("run", source, "-p", "x", *model, *arguments, cwd=folder)


def _pipeline(folder: Path, streams: dict[str, object], **settings: object) -> Path:
    plain = {
        "model": {"name": str(folder / "tiny.yaml"), "random_weights": True, "device": "cpu", "threads": 1},
        "public": {"publish": "tcp://127.0.0.1:*", "requests": "tcp://127.0.0.1:*"},
        "streams": streams,
        **settings,
    }
    path = folder / "pipeline.yaml"
    path.write_text(yaml.safe_dump(plain))
    return path


def _count_pictures(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("flag", [(), ("--overwrite",)], ids=["plain", "overwrite"])
@pytest.mark.parametrize(
    "output", ["in.mp4", "./in.mp4", "link.mp4", "hard.mp4", "file:in.mp4", "FILE://{folder}/in.mp4", "video:in.mp4"]
)
def test_run_output_that_is_the_source_is_refused(folder: Path, output: str, flag: tuple[str, ...]) -> None:
    """Whatever its spelling and even with --overwrite; nothing in the folder changes."""
    before = _contents(folder)
    done = _run(folder, "-o", output.format(folder=folder), "-o", "m.jsonl", *flag)
    assert done.returncode == 2, done.stderr
    assert "(--output) is in.mp4 (the source) itself" in done.stderr
    assert _contents(folder) == before


@pytest.mark.parametrize("output", ["in.mp4", "hard.mp4", "file:in.mp4"])
def test_up_output_that_is_a_source_is_refused(folder: Path, output: str) -> None:
    """Of its own stream or another one's."""
    path = _pipeline(
        folder,
        {"a": {"source": "in.mp4", "prompts": ["x"]}, "b": {"source": "synthetic@64x48,5frames", "outputs": [output]}},
        overwrite=True,
    )
    before = _contents(folder)
    done = run_command("up", path, cwd=folder)
    assert done.returncode == 2, done.stderr
    assert "(output of stream b) is in.mp4 (source of stream a) itself" in done.stderr.replace("\n", " ")
    assert _contents(folder) == before


@pytest.mark.parametrize(("first", "second"), [("a.jsonl", "./a.jsonl"), ("hard.mp4", "link.mp4"), ("-", "-")])
def test_run_two_outputs_that_are_one_file_are_refused(folder: Path, first: str, second: str) -> None:
    """Links included."""
    before = _contents(folder)
    done = _run(folder, "-o", first, "-o", second, "--overwrite", source="synthetic")
    assert done.returncode == 2, done.stderr
    assert "are one file: give each output its own" in done.stderr
    assert _contents(folder) == before


def test_up_two_streams_with_one_output_are_refused(folder: Path) -> None:
    """Their lines would be mixed."""
    stream = {"source": "in.mp4", "prompts": ["x"]}
    path = _pipeline(
        folder, {"a": {**stream, "outputs": ["same.jsonl"]}, "b": {**stream, "outputs": ["./same.jsonl", "b.mp4"]}}
    )
    done = run_command("up", path, cwd=folder)
    assert done.returncode == 2, done.stderr
    assert "./same.jsonl (output of stream b) and same.jsonl (output of stream a) are one file" in done.stderr
    assert not any(folder.glob("same*"))


def test_run_existing_output_is_kept_unless_told_otherwise(folder: Path) -> None:
    """Refused without --overwrite, byte for byte as it was; replaced with it."""
    for name in ("o.mp4", "m.jsonl"):
        (folder / name).write_bytes(_OLD)
    for name in ("o.mp4", "m.jsonl"):
        done = _run(folder, "-o", name)
        assert done.returncode == 2, done.stderr
        assert f"{name} (--output) exists already" in done.stderr
        assert "--overwrite" in done.stderr
    assert {_contents(folder)[name] for name in ("o.mp4", "m.jsonl")} == {_OLD}
    done = _run(folder, "-o", "o.mp4", "-o", "m.jsonl", "--overwrite")
    assert done.returncode == 0, done.stderr
    assert _count_pictures(folder / "o.mp4") == _NUM_FRAMES
    assert len((folder / "m.jsonl").read_text().splitlines()) == _NUM_FRAMES
    assert not list(folder.glob("*.partial.*"))


def test_up_existing_outputs_are_replaced_only_if_told(folder: Path) -> None:
    """By the pipeline or by --overwrite; the report, too."""
    path = _pipeline(folder, {"a": {"source": "in.mp4", "prompts": ["x"], "outputs": ["o.mp4", "m.jsonl"]}})
    (folder / "m.jsonl").write_bytes(_OLD)
    done = run_command("up", path, "-q", cwd=folder)
    assert (done.returncode, (folder / "m.jsonl").read_bytes()) == (2, _OLD)
    done = run_command("up", path, "-q", "--overwrite", "--json", "r.json", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert len((folder / "m.jsonl").read_text().splitlines()) == _count_pictures(folder / "o.mp4") == _NUM_FRAMES
    (folder / "o.mp4").unlink()
    (folder / "m.jsonl").unlink()
    done = run_command("up", path, "-q", "--json", "r.json", cwd=folder)
    assert done.returncode == 2
    assert "r.json (--json) exists already" in done.stderr


@pytest.mark.parametrize(("source", "code"), [("missing.mp4", 2), ("empty.mp4", 1)])
def test_run_that_fails_before_its_first_frame_keeps_the_former_files(folder: Path, source: str, code: int) -> None:
    """With --overwrite; and nothing is left beside them."""
    (folder / "empty.mp4").touch()
    for name in ("o.mp4", "m.jsonl"):
        (folder / name).write_bytes(_OLD)
    before = _contents(folder)
    done = _run(folder, "-o", "o.mp4", "-o", "m.jsonl", "--overwrite", source=source)
    assert done.returncode == code, done.stderr
    assert _contents(folder) == before


def test_up_with_a_failing_source_keeps_the_former_files(folder: Path) -> None:
    """Its outputs are open before its source is."""
    stream = {"source": "missing.mp4", "prompts": ["x"], "outputs": ["o.mp4", "m.jsonl"]}
    path = _pipeline(folder, {"a": stream}, overwrite=True)
    for name in ("o.mp4", "m.jsonl"):
        (folder / name).write_bytes(_OLD)
    before = _contents(folder)
    done = run_command("up", path, "-q", cwd=folder)
    assert done.returncode == 2, done.stderr
    assert _contents(folder) == before


@pytest.mark.parametrize("ending", ["mp4", "mov", "mkv"])
def test_killed_run_leaves_a_video_that_plays_and_whole_lines(folder: Path, ending: str) -> None:
    """After SIGKILL, under the temporary names; the former file is as it was; the next run replaces them."""
    outputs = ("-o", f"o.{ending}", "-o", "m.jsonl", "--overwrite")
    (folder / f"o.{ending}").write_bytes(_OLD)
    video, lines = folder / f"o.partial.{ending}", folder / "m.partial.jsonl"
    model = ("--random-weights", "--model", "tiny.yaml", "--device", "cpu", "-q")
    with running([CONSOLE_SCRIPT, "run", "synthetic@64x48,30fps", "-p", "x", *model, *outputs], cwd=folder) as process:
        wait_until(lambda: lines.exists() and lines.read_bytes().count(b"\n") >= _NUM_FRAMES)
        process.kill()
        process.wait()
    assert (folder / f"o.{ending}").read_bytes() == _OLD
    assert not (folder / "m.jsonl").exists()
    written = lines.read_text()
    assert written.endswith("}\n")
    count = len([json.loads(line) for line in written.splitlines()])
    assert count - 24 <= _count_pictures(video) <= count + 8
    done = _run(folder, "--max-frames", "5", *outputs)
    assert done.returncode == 0, done.stderr
    assert (_count_pictures(folder / f"o.{ending}"), list(folder.glob("*.partial.*"))) == (5, [])


def test_killed_graph_leaves_a_video_that_plays_and_whole_lines(folder: Path) -> None:
    """Of every stream; its next start replaces them only if that is allowed."""
    outputs = {name: [f"{name}.mp4", f"{name}.jsonl"] for name in ("a", "b")}
    streams: dict[str, object] = {
        name: {"source": "synthetic@64x48,30fps,150frames", "prompts": ["x"], "outputs": specs}
        for name, specs in outputs.items()
    }
    path = _pipeline(folder, streams)
    lines = [folder / f"{name}.partial.jsonl" for name in outputs]
    with running([CONSOLE_SCRIPT, "up", path, "-q"], cwd=folder) as process:
        wait_until(lambda: all(one.exists() and one.read_bytes().count(b"\n") >= _NUM_FRAMES for one in lines))
        process.kill()
        process.wait()
    for name, written in zip(outputs, lines, strict=True):
        count = len([json.loads(line) for line in written.read_text().splitlines()])
        assert count - 24 <= _count_pictures(folder / f"{name}.partial.mp4") <= count + 8
    done = run_command("up", path, "-q", cwd=folder)
    assert done.returncode == 2, done.stderr
    assert "a killed one left it" in done.stderr
    done = run_command("up", path, "-q", "--overwrite", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert [_count_pictures(folder / f"{name}.mp4") for name in outputs] == [150, 150]
    assert not list(folder.glob("*.partial.*"))


def test_second_run_with_the_same_output_is_refused_while_the_first_writes(folder: Path) -> None:
    """And costs it nothing."""
    model = ("--random-weights", "--model", "tiny.yaml", "--device", "cpu", "-q")
    lines = folder / "m.partial.jsonl"
    with running([CONSOLE_SCRIPT, "run", "synthetic@64x48", "-p", "x", *model, "-o", "m.jsonl"], cwd=folder) as process:
        wait_until(lambda: lines.exists() and lines.stat().st_size > 0)
        done = _run(folder, "-o", "m.jsonl")
        assert done.returncode == 2, done.stderr
        assert "that file is there: another process writes it" in done.stderr
        done = _run(folder, "-o", "m.jsonl", "--overwrite")
        assert done.returncode == 1, done.stderr
        assert "another process is writing it" in done.stderr
        process.terminate()
        assert process.wait(60) == 0
    assert (folder / "m.jsonl").read_text().endswith("}\n")


def _read_to_end(path: Path, got: list[bytes]) -> Callable[[], None]:
    thread = threading.Thread(target=lambda: got.append(path.read_bytes()))
    thread.start()
    return thread.join


@pytest.mark.parametrize("name", ["pipe.mp4", "pipe.mkv", "pipe.jsonl"])
def test_run_into_a_pipe_writes_straight(folder: Path, name: str) -> None:
    """No temporary name, no question; a reader gets everything and the pipe stays."""
    os.mkfifo(folder / name)
    got: list[bytes] = []
    wait = _read_to_end(folder / name, got)
    done = _run(folder, "-o", name, "-o", "jsonl:/dev/null", "-o", "video:/dev/null")
    wait()
    assert done.returncode == 0, done.stderr
    assert (folder / name).is_fifo()
    if name.endswith("jsonl"):
        assert got[0].count(b"\n") == _NUM_FRAMES
    else:
        (folder / f"got{Path(name).suffix}").write_bytes(got[0])
        assert _count_pictures(folder / f"got{Path(name).suffix}") == _NUM_FRAMES
    assert Path("/dev/null").is_char_device()


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    """Weights and 150 pictures."""
    return make_material(tmp_path_factory.mktemp("stream"), num_frames=150)


async def test_killed_node_leaves_its_file_under_the_final_name(material: Material, tmp_path: Path) -> None:
    """Its successor goes on beside it, and no temporary file is left."""
    first, second = tmp_path / "m.jsonl", tmp_path / "m-2.jsonl"
    stream = {"prompts": ["a dog"], "outputs": [str(first), str(tmp_path / "o.mp4")]}
    graph = graph_of(material, "processes", {"cam0": stream})
    async with watched(graph) as seen:
        await until(lambda: has_pictures(tmp_path / "o.partial.mp4"))
        graph.kill("masks-0")
        report = await seen.ended()
    assert report.restarts == {"masks-0": 1}
    names = listing(tmp_path)
    assert names == ["m-2.jsonl", "m.jsonl", "o-2.mp4", "o.mp4"]
    frames = [[json.loads(line)["index"] for line in path.read_text().splitlines()] for path in (first, second)]
    assert frames[0]
    assert frames[0] == list(range(len(frames[0])))
    assert frames[1][-1] == material.num_frames - 1
    assert 1 <= _count_pictures(tmp_path / "o.mp4") <= len(frames[0]) + 1
    assert _count_pictures(tmp_path / "o-2.mp4") == len(frames[1])
