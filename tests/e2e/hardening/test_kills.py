"""Recordings of processes that are killed at any moment: what is there plays, and is nearly all there was."""

import os
import random
import signal
import time
from pathlib import Path

import pytest

from tests.support.command_line import CONSOLE_SCRIPT, running
from tests.support.graph_streams import graph_of, make_material
from tests.support.graphs import watched
from tests.support.recordings import MODEL, line_times, picture_times, whole_lines, write_pipeline
from tests.support.waiting import until, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("warm_python")]

_LOST_S = 2.0
"""Stream time that a kill may cost a video."""
_STEADY_S = 1e-3


def _expect_nearly_all(video: Path, lines: Path) -> None:
    """The video plays up to the last two seconds of what was made; each picture of it has its time."""
    made, played = line_times(lines), picture_times(video)
    assert played, "nothing plays"
    assert played[-1] >= made[-1] - _LOST_S, f"played to {played[-1]} of {made[-1]}"
    # The picture is written before its line, so that the last one may have none.
    assert len(played) <= len(made) + 1
    for at, line in zip(played, made, strict=False):
        assert abs(at - line) < _STEADY_S


@pytest.mark.parametrize(
    ("fps", "ending"),
    [("120", "mp4"), ("30", "mkv"), ("3", "mov"), ("1", "mp4"), ("0.2", "mp4"), ("0.2", "mkv"), ("0.00028", "mp4")],
)
def test_run_killed_at_any_moment_leaves_what_it_made(tmp_path: Path, fps: str, ending: str) -> None:
    """Whatever the rate, down to one picture an hour: fragments are of stream time, not of pictures."""
    write_pipeline(tmp_path, {})
    chance, lines = random.Random(f"{fps}{ending}"), tmp_path / "m.partial.jsonl"
    source = f"synthetic@64x48,{fps}fps,100000frames"  # with an end, so that it is not played at its own pace
    command = [str(CONSOLE_SCRIPT), "run", source, "-p", "x", *MODEL, "-q", "-o", f"o.{ending}", "-o", "m.jsonl"]
    with running(command, cwd=tmp_path) as process:
        first = chance.randint(1, 60)
        wait_until(lambda: lines.exists() and lines.read_bytes().count(b"\n") >= first)
        time.sleep(chance.uniform(0, 0.05))  # somewhere within a frame
        process.kill()
        process.wait()
    _expect_nearly_all(tmp_path / f"o.partial.{ending}", lines)


def test_live_run_killed_leaves_what_it_made(tmp_path: Path) -> None:
    """A live source drops frames, so that pictures come at odd times."""
    write_pipeline(tmp_path, {})
    lines = tmp_path / "m.partial.jsonl"
    command = [str(CONSOLE_SCRIPT), "run", "synthetic@160x96,60fps", "-p", "x", *MODEL, "-q", "--realtime"]
    with running([*command, "-o", "o.mp4", "-o", "m.jsonl"], cwd=tmp_path) as process:
        wait_until(lambda: lines.exists() and lines.read_bytes().count(b"\n") >= 30)
        process.kill()
        process.wait()
    made, played = line_times(lines), picture_times(tmp_path / "o.partial.mp4")
    assert played[-1] >= made[-1] - made[0] - _LOST_S


@pytest.mark.parametrize("fps", ["30", "0.2"])
def test_all_processes_of_a_graph_killed_at_once(tmp_path: Path, fps: str) -> None:
    """Launcher and nodes get no time for anything; the next graph removes what they left."""
    stream = {"source": f"synthetic@64x48,{fps}fps,100000frames", "prompts": ["x"], "outputs": ["o.mp4", "m.jsonl"]}
    path = write_pipeline(tmp_path, {"cam0": stream}, placement="processes")
    lines, temporary = tmp_path / "m.partial.jsonl", tmp_path / "t"
    temporary.mkdir()
    command = [str(CONSOLE_SCRIPT), "up", str(path), "-q"]
    environment = os.environ | {"TMPDIR": str(temporary)}
    log = tmp_path / "log"
    with (
        log.open("w") as stderr,
        running(command, cwd=tmp_path, env=environment, stderr=stderr) as process,
    ):
        wait_until(
            lambda: process.poll() is not None or (lines.exists() and lines.read_bytes().count(b"\n") >= 20),
            lambda: f"20 lines; the log: {log.read_text()}",
        )
        nodes = _children(process.pid)
        assert len(nodes) == 5
        for pid in [*nodes, process.pid]:
            os.kill(pid, signal.SIGKILL)
        process.wait()
    _expect_nearly_all(tmp_path / "o.partial.mp4", lines)


async def test_masks_node_killed_again_and_again_leaves_whole_files(tmp_path: Path) -> None:
    """Each start of it has its own file; together they have every frame, and the lock died with each owner."""
    material = make_material(tmp_path, num_frames=150)
    (folder := tmp_path / "out").mkdir()
    stream = {"prompts": ["a dog"], "outputs": [str(folder / "m.jsonl"), str(folder / "o.mp4")]}
    chance, kills = random.Random(0), 2
    graph = graph_of(material, "processes", {"cam0": stream})
    async with watched(graph) as seen:
        for start in range(kills):
            await until(lambda: (folder / f"o{_number(start)}.partial.mp4").exists())  # noqa: B023  # used here
            await seen.frames(len(seen.listener.indices()) + chance.randint(5, 15))
            graph.kill("masks-0")
        report = await seen.ended()
    assert report.restarts == {"masks-0": kills}
    assert report.outputs_failed == {}
    frames: list[int] = []
    for start in range(kills + 1):
        lines = folder / f"m{_number(start)}.jsonl"
        frames += [line["index"] for line in whole_lines(lines)]
        assert len(picture_times(folder / f"o{_number(start)}.mp4")) <= len(whole_lines(lines)) + 1
    assert sorted(set(frames)) == frames
    assert frames[-1] == material.num_frames - 1
    assert not list(folder.glob("*.partial.*"))


def _number(start: int) -> str:
    return f"-{start + 1}" if start else ""


def _children(pid: int) -> list[int]:
    return [int(child) for path in Path(f"/proc/{pid}/task").glob("*/children") for child in path.read_text().split()]
