"""The main job through the installed command line: real encoded video in, masks out, the prompt changed meanwhile."""

import itertools
import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import av
import pytest

from ssa_stream.cli.commands.demo import write_scene
from ssa_stream.sinks import read_json_lines
from tests.support.command_line import CONSOLE_SCRIPT, run_command, write_tiny_config

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("warm_python")]

NUM_FRAMES = 45
FPS = 30
FIRST, SECOND = "the red circle", "the blue square moving left"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an encoded video and a small network's configuration."""
    path = tmp_path_factory.mktemp("run")
    write_scene(path / "input.mp4", NUM_FRAMES)
    write_tiny_config(path)
    return path


def _model(folder: Path) -> list[str]:
    return ["--random-weights", "--model", str(folder / "tiny.yaml"), "--device", "cpu"]


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _count_pictures(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def test_run_file_with_prompt_change_gives_one_result_per_frame_in_order(folder: Path, tmp_path: Path) -> None:
    """Frames in = results out; the change takes effect at its time; masks decode; the overlay plays."""
    done = run_command(
        "run", folder / "input.mp4", "-p", FIRST, "--at", f"0.5={SECOND}", "-o", "o.mp4", "-o", "m.jsonl",
        "--threshold", "0", *_model(folder), cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = _lines(tmp_path / "m.jsonl")
    assert [line["seq"] for line in lines] == list(range(NUM_FRAMES))
    assert [line["index"] for line in lines] == list(range(NUM_FRAMES))
    assert [line["prompt"] for line in lines] == [FIRST if i < FPS // 2 else SECOND for i in range(NUM_FRAMES)]
    assert {line["prompt_version"] for line in lines} == {1, 2}
    assert _count_pictures(tmp_path / "o.mp4") == NUM_FRAMES
    records = list(read_json_lines(tmp_path / "m.jsonl"))
    tracks = [track for record in records for track in record.result.tracks]
    assert tracks
    assert all(track.mask.shape == (360, 640) and track.mask.sum() == track.area_px for track in tracks)
    assert "masks mean nothing" in done.stderr
    assert f"{NUM_FRAMES} frames" in done.stderr
    assert "prompt change to first masks" in done.stderr


def test_run_realtime_drops_stale_frames_and_counts_them(folder: Path, tmp_path: Path) -> None:
    """At camera pace no frame waits: what the model is too slow for is dropped, counted and seen as a gap."""
    done = run_command(
        "run", folder / "input.mp4", "--realtime", "-p", FIRST, "--at", f"0.75={SECOND}", "-o", "m.jsonl",
        "--random-weights", "--device", "cpu", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = _lines(tmp_path / "m.jsonl")
    numbers = [line["seq"] for line in lines]
    assert all(a < b for a, b in itertools.pairwise(numbers))
    dropped = int(done.stderr.split(" dropped")[0].split()[-1])
    assert len(lines) + dropped == NUM_FRAMES
    assert [line["prompt"] for line in lines] == [FIRST if line["t"] < 0.75 else SECOND for line in lines]
    assert all(line["times"]["latency_ms"] > 0 for line in lines)


def test_run_several_prompts_and_lookahead_still_gives_every_frame(folder: Path, tmp_path: Path) -> None:
    """With lookahead the last frames come when the stream ends; each frame has both prompts."""
    done = run_command(
        "run", folder / "input.mp4", "-p", FIRST, "-p", SECOND, "--lookahead", "3", "--max-frames", "12",
        "-o", "m.jsonl", "-q", *_model(folder), cwd=tmp_path,
    )  # fmt: skip
    assert (done.returncode, done.stderr.count("frames in")) == (0, 0)
    pairs = [(line["seq"], line["prompt"]) for line in _lines(tmp_path / "m.jsonl")]
    assert pairs == list(itertools.product(range(12), (FIRST, SECOND)))


def test_run_json_lines_on_standard_output_are_only_json(folder: Path, tmp_path: Path) -> None:
    """`-o -` can be piped: progress and summary go elsewhere."""
    done = run_command(
        "run", folder / "input.mp4", "-p", FIRST, "--max-frames", "3", "-o", "-", *_model(folder), cwd=tmp_path
    )
    assert [json.loads(line)["seq"] for line in done.stdout.splitlines()] == [0, 1, 2]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_run_interrupted_leaves_complete_files(folder: Path, tmp_path: Path, number: signal.Signals) -> None:
    """A signal ends an endless stream cleanly: every line whole, the video plays, as many pictures as lines."""
    command = [str(CONSOLE_SCRIPT), "run", "synthetic@320x180", "-p", FIRST, "-o", "o.mp4", "-o", "m.jsonl"]
    process = subprocess.Popen([*command, *_model(folder)], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    try:
        _wait_for_lines(tmp_path / "m.partial.jsonl", 5, process)
        process.send_signal(number)
        _, printed = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, printed
    assert "ended by Ctrl-C" in printed
    lines = _lines(tmp_path / "m.jsonl")
    assert len(lines) >= 5
    assert _count_pictures(tmp_path / "o.mp4") == len(lines)


def _wait_for_lines(path: Path, count: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not path.exists() or path.read_bytes().count(b"\n") < count:
        assert process.poll() is None, "the run ended by itself"
        assert time.monotonic() < deadline, "no results came"
        time.sleep(0.05)


def test_demo_writes_video_and_masks(tmp_path: Path) -> None:
    """The demo makes its own video, changes the prompt half-way and prints figures and paths."""
    done = run_command("demo", "--out", "demo", "--seconds", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = _lines(tmp_path / "demo" / "masks.jsonl")
    assert len(lines) == 30
    assert [line["prompt"] for line in lines] == [FIRST] * 15 + [SECOND] * 15
    assert sum(any(track["area_px"] for track in line["tracks"]) for line in lines) > 20
    assert _count_pictures(tmp_path / "demo" / "overlay.mp4") == 30
    for figure in ("fps", "p50", "p95", "dropped", "demo/overlay.mp4", "demo/masks.jsonl"):
        assert figure in done.stderr
