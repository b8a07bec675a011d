"""The example that people start with, run as they would."""

import os
import re
import subprocess
import sys
from pathlib import Path

import av
import pytest

from tests.support.command_line import ROOT, read_until, run_command, running

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("warm_python")]

EXAMPLE = ROOT / "examples" / "webcam_refer.py"
PROGRAM: tuple[str | Path, ...] = (sys.executable, EXAMPLE)


def test_example_writes_overlay_without_display(tmp_path: Path) -> None:
    """Without a display the picture goes to a video with one picture per frame."""
    done = run_command(
        "the red circle", "--source", "synthetic@320x180,30fps,12frames", "--no-window",
        cwd=tmp_path, program=PROGRAM,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = re.search(r"target found in (\d+) of 12 frames", done.stdout)
    assert found is not None, done.stdout
    assert int(found[1]) > 8
    with av.open(str(tmp_path / "webcam_refer.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 12


def test_example_follows_a_prompt_typed_while_it_runs(tmp_path: Path) -> None:
    """A line on the terminal changes the prompt of the running stream."""
    command: list[str | Path] = [
        *map(str, PROGRAM),
        "the red circle",
        "--source",
        "synthetic@320x180",
        "--no-window",
        "--num-frames",
        "30",
    ]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with running(command, cwd=tmp_path, env={**os.environ, "PYTHONUNBUFFERED": "1"}, **pipes) as process:
        read_until(process.stdout, "Ctrl-C ends")
        assert process.stdin
        process.stdin.write("the blue square; the star\n")
        process.stdin.flush()
        rest, _ = process.communicate(timeout=180)
    assert process.returncode == 0, rest
    assert "now looking for: the blue square, the star" in rest
    assert "30 frames at" in rest


def test_example_window_shows_frames_and_ends(tmp_path: Path) -> None:
    """With a display the picture goes to a window; SDL's dummy driver stands for one."""
    done = subprocess.run(
        [*map(str, PROGRAM), "the red circle", "--source", "synthetic@320x180,30fps,5frames"],
        cwd=tmp_path, env={**os.environ, "SDL_VIDEODRIVER": "dummy"}, capture_output=True, text=True, timeout=180,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "5 frames at" in done.stdout
    assert not (tmp_path / "webcam_refer.mp4").exists()


def test_example_without_camera_falls_back_with_a_hint(tmp_path: Path) -> None:
    """Where there is no camera the made-up scene is shown and the hint says so."""
    if Path("/dev/video0").exists():
        pytest.skip("this machine has a camera, so there is nothing to fall back from")
    done = run_command("the red circle", "--no-window", "--num-frames", "3", cwd=tmp_path, program=PROGRAM)
    assert done.returncode == 0, done.stderr
    assert "no camera found" in done.stdout
