"""The example of a network camera, as a user runs it, with a real server that is killed and started again."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.command_line import ROOT, run_command
from tests.support.components import require
from tests.support.lines import PATIENCE_S, Lines
from tests.support.live_server_files import write_scene_pictures
from tests.support.rtsp_server import HOW_TO_GET, rtsp_server, rtsp_server_available

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400), pytest.mark.usefixtures("warm_python")]

PROGRAM = (sys.executable, ROOT / "examples" / "rtsp_refer.py")
PROMPT = "the red circle"
MASKS = re.compile(r" +\d+\.\d{3} s, the red circle: #\d+ 0\.\d\d at \d+,\d+-\d+,\d+, \d+ ms old\n")


@pytest.fixture(autouse=True)
def _needs_server() -> None:
    require("an RTSP server (GStreamer)", rtsp_server_available(), HOW_TO_GET)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the camera sees."""
    return write_scene_pictures(tmp_path_factory.mktemp("pictures"), 30, width=160, height=96)


@contextmanager
def _running(*arguments: str, cwd: Path) -> Iterator[tuple["subprocess.Popen[str]", Lines]]:
    # A job that a shell starts in the background ignores Ctrl-C, and so would its children.
    command: Sequence[str] = ["env", "--default-signal=INT", *map(str, PROGRAM), *arguments]
    with subprocess.Popen(
        command, cwd=cwd, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            yield process, Lines(process.stdout)
        finally:
            process.kill()


def test_example_goes_on_when_the_camera_comes_back_and_ends_by_ctrl_c(pictures: Path, tmp_path: Path) -> None:
    """Masks, then what is wrong, then masks again; the password is never shown."""
    with rtsp_server(credentials="cam:s3cret", fps=10, size="160x96", pictures=pictures) as server:
        address = server.url_with("cam", "s3cret")
        with _running(address, PROMPT, "--wait", cwd=tmp_path) as (process, printed):
            printed.until("camera: connecting")
            printed.until("camera: live")
            printed.until(f"{PROMPT}: #")
            server.kill()
            printed.until("camera: reconnecting, attempt 1 in ")
            with rtsp_server(port=server.port, credentials="cam:s3cret", fps=10, size="160x96", pictures=pictures):
                printed.until("camera: live again after ")
                printed.until(f"{PROMPT}: #")
                process.send_signal(signal.SIGINT)
                assert process.wait(PATIENCE_S) == 0
            lines = printed.rest()
    *lines, ended, found = [line for line in lines if not line.startswith("checkpoint: ssa-tiny knows")]
    assert [line for line in lines if not (line.startswith("camera: ") or MASKS.fullmatch(line))] == []
    assert ended == "camera: ended: closed\n"
    assert re.fullmatch(r"target found in [1-9]\d* of \d+ frames\n", found)
    assert "s3cret" not in "".join(lines)


def test_example_tells_a_camera_that_is_silent(pictures: Path, tmp_path: Path) -> None:
    """A frozen camera keeps its connection and says nothing."""
    with (
        rtsp_server(fps=10, size="160x96", pictures=pictures) as server,
        _running(server.url, PROMPT, "--wait", "--transport", "udp", cwd=tmp_path) as (process, printed),
    ):
        printed.until("camera: live")
        server.stall()
        printed.until("camera: stalled: no frame for 2 s")
        server.resume()
        printed.until("camera: live again after ")
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0
        printed.rest()


def test_example_at_a_wrong_address_says_what_to_check(tmp_path: Path) -> None:
    """In one line, at once."""
    with rtsp_server() as server:
        done = run_command(server.url.replace("/cam", "/none"), PROMPT, cwd=tmp_path, program=PROGRAM)
    assert done.returncode == 1
    assert re.search(r"^error: .*check the path", done.stderr, re.MULTILINE)
    assert "Traceback" not in done.stderr


def test_example_help_teaches(tmp_path: Path) -> None:
    """What one will see, and how to begin."""
    done = run_command("--help", cwd=tmp_path, program=PROGRAM)
    assert done.returncode == 0
    assert "camera: live again after" in done.stdout
    assert "rtsp://USER:PASSWORD@camera/stream" in done.stdout
