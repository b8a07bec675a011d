"""`ssa-stream run` on a camera that goes away and comes back."""

import json
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import CONSOLE_SCRIPT, run_command, write_tiny_config
from tests.support.components import require
from tests.support.lines import PATIENCE_S, Lines
from tests.support.rtsp_server import HOW_TO_GET, rtsp_server, rtsp_server_available

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400), pytest.mark.usefixtures("warm_python")]

# On a busy machine the server takes its time to make the first picture.
PROMPT = ("-p", "the red circle", "--connect-timeout", "60")


@pytest.fixture(autouse=True)
def _needs_server() -> None:
    require("an RTSP server (GStreamer)", rtsp_server_available(), HOW_TO_GET)


@pytest.fixture
def model(tmp_path: Path) -> list[str]:
    """Options for a small network without trained weights."""
    return ["--random-weights", "--model", str(write_tiny_config(tmp_path)), "--device", "cpu"]


@contextmanager
def _running(arguments: Sequence[str], cwd: Path) -> Iterator[tuple["subprocess.Popen[str]", Lines, Lines]]:
    with subprocess.Popen(
        [str(CONSOLE_SCRIPT), "run", *arguments], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            yield process, Lines(process.stdout), Lines(process.stderr)
        finally:
            process.kill()


def test_run_goes_on_when_the_camera_comes_back(model: list[str], tmp_path: Path) -> None:
    """States in one line each on stderr, masks before and after, nothing secret in either, and Ctrl-C ends it."""
    with rtsp_server(credentials="cam:s3cret", fps=10) as server:
        arguments = [server.url_with("cam", "s3cret"), *PROMPT, "-o", "-", "--stall-timeout", "2", *model]
        with _running(arguments, tmp_path) as (process, masks, states):
            masks.until('"epoch":0', beside=states)
            server.kill()
            states.until("source: reconnecting in")
            with rtsp_server(port=server.port, credentials="cam:s3cret", fps=10):
                states.until("source: live again after")
                masks.until('"epoch":1')
                process.send_signal(signal.SIGINT)
                assert process.wait(PATIENCE_S) == 0
            told, results = states.rest(), masks.rest()
    assert any(line.startswith("source: live") for line in told)
    assert any("ended by Ctrl-C" in line for line in told)
    assert any("source: 2 connections" in line for line in told)
    assert "s3cret" not in "".join(told + results)
    rows: list[dict[str, Any]] = [json.loads(line) for line in results]
    assert [row["index"] for row in rows] == sorted(row["index"] for row in rows)
    assert all(later["t"] > earlier["t"] for earlier, later in pairwise(rows))


def test_run_ends_by_ctrl_c_while_the_camera_is_frozen(model: list[str], tmp_path: Path) -> None:
    """The connection hangs in a read that would last two minutes; nobody waits for it."""
    with rtsp_server(fps=10) as server:
        arguments = [server.url, *PROMPT, "-o", "-", "--stall-timeout", "60", *model]
        with _running(arguments, tmp_path) as (process, masks, states):
            masks.until('"epoch":0', beside=states)
            server.stall()
            states.until("source: stalled")
            began_s = time.monotonic()
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE_S) == 0
            assert time.monotonic() - began_s < PATIENCE_S / 2
            assert any("ended by Ctrl-C" in line for line in states.rest())
            masks.rest()


def test_run_on_a_wrong_address_ends_with_what_to_check(model: list[str], tmp_path: Path) -> None:
    """At once, not after attempts."""
    with rtsp_server() as server:
        wrong = server.url_with("cam", "s3cret").replace("/cam", "/none")
        done = run_command("run", wrong, *PROMPT, *model, cwd=tmp_path)
    assert done.returncode == 1
    assert "check the path" in done.stderr
    assert "s3cret" not in done.stdout + done.stderr


def test_run_without_recovery_ends_at_the_loss(model: list[str], tmp_path: Path) -> None:
    """What came before is written."""
    with rtsp_server(fps=10) as server:
        arguments = [server.url, *PROMPT, "-o", "-", "--no-recover", "--rtsp-transport", "tcp", *model]
        with _running(arguments, tmp_path) as (process, masks, states):
            masks.until('"epoch":0', beside=states)
            server.kill()
            assert process.wait(PATIENCE_S) == 1
            assert any("was lost after" in line for line in states.rest())
            masks.rest()


def test_run_refuses_a_transport_for_what_has_none(model: list[str], tmp_path: Path) -> None:
    """A file comes by no transport."""
    done = run_command("run", "street.mp4", *PROMPT, "--rtsp-transport", "udp", *model, cwd=tmp_path)
    assert done.returncode == 2
    assert "--rtsp-transport is for rtsp://" in done.stderr
