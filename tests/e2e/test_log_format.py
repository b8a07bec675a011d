"""`--log-format json`: whatever happens, every line on stderr is one JSON object; and no log holds what moves."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.command_line import CONSOLE_SCRIPT, read_until, run_command, running, write_tiny_config

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("warm_python")]

_PATIENCE_S = 60.0
_JSON = "--log-format=json"
_LONG_PROMPT = "the red circle " * 60


def _pipeline(folder: Path, **stream: Any) -> Path:
    """A graph of a network without sense."""
    plain = {
        "model": {"name": str(write_tiny_config(folder)), "random_weights": True, "device": "cpu", "threads": 1},
        "public": {"publish": "tcp://127.0.0.1:*", "requests": "tcp://127.0.0.1:*"},
        "health": {"heartbeat_s": 0.1, "backoff_s": 0.05},
        "streams": {"cam0": {"source": "synthetic@64x48,30fps", "prompts": ["a circle"], **stream}},
    }
    path = folder / "pipeline.yaml"
    path.write_text(yaml.safe_dump(plain))
    return path


def _events(stderr: str) -> list[dict[str, Any]]:
    """All lines, each of which is an event with the keys that every event has."""
    events = [json.loads(line) for line in stderr.splitlines()]
    assert all({"timestamp", "level", "node", "event"} <= set(event) for event in events), stderr
    assert "\x1b" not in stderr
    assert "\r" not in stderr
    return events


def test_graph_that_loses_a_node_and_warns_logs_json_only(tmp_path: Path) -> None:
    """A node is killed, and a prompt is too long; the summary is an event, too."""
    if sys.platform != "linux":
        pytest.skip("needs /proc")
    pipeline = _pipeline(tmp_path, prompts=[_LONG_PROMPT], live=True)
    command: list[str | Path] = [CONSOLE_SCRIPT, "up", pipeline, "--placement=processes", "--keep", _JSON]
    with running(command, cwd=tmp_path, stderr=subprocess.PIPE) as up:
        said = read_until(up.stderr, '"event": "ready"')
        os.kill(_process_of("encoder-0", up.pid), signal.SIGKILL)
        said += read_until(up.stderr, '"restarted"')
        up.send_signal(signal.SIGTERM)
        said += up.communicate(timeout=_PATIENCE_S)[1]
        assert up.returncode == 0, said
    events = _events(said)
    found = {(event["level"], event["node"], event["event"]) for event in events}
    assert {("warning", "encoder-0", "lost"), ("info", "encoder-0", "restarted")} <= found
    assert ("warning", "launcher", "warning") in found
    summary = next(event for event in events if event["event"] == "summary")
    assert summary["restarts"] == {"encoder-0": 1}
    assert summary["read"]["cam0"] > 0


def _process_of(node: str, launcher: int) -> int:
    """The process of a node of a launcher."""
    for path in Path(f"/proc/{launcher}/task").glob("*/children"):
        for child in path.read_text().split():
            if f"--name={node}" in Path(f"/proc/{child}/cmdline").read_text():
                return int(child)
    raise AssertionError(f"{node} has no process")


def test_run_that_fails_logs_json_only(tmp_path: Path) -> None:
    """With the error that it ends with; what a library writes past Python comes through, too."""
    program = (
        "import os, sys, warnings; from ssa_stream.cli.entry import entry\n"
        "import ssa_stream.cli.options.engine as engine\n"
        "def noisy(*a, **k):\n"
        "    os.write(2, b'of a library in C\\n'); warnings.warn('of Python'); print('printed', file=sys.stderr)\n"
        "    sys.stderr.write('half a '); os.write(2, b'no line feed'); raise RuntimeError('broken\\nin two lines')\n"
        "engine.open_model = noisy\n"
        "entry()"
    )
    done = run_command(
        "run", "synthetic", "-p", "x", "--log-format", "json", cwd=tmp_path, program=(sys.executable, "-c", program)
    )
    assert done.returncode == 1
    events = _events(done.stderr)
    assert {event["text"] for event in events if event["event"] == "stderr"} >= {
        "of a library in C", "printed", "half a ", "no line feed",
    }  # fmt: skip
    assert "UserWarning: of Python" in [event.get("text") for event in events]
    (error,) = [event for event in events if event["level"] == "error"]
    assert error["text"] == "RuntimeError: broken\nin two lines"
    assert error["exception"].startswith("Traceback")


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["run", "synthetic", "-p", "x", "--nonsense"], 2, "--nonsense"),
        (["up", "no-such-pipeline"], 2, "no-such-pipeline"),
        (["watch", "--address", "tcp://127.0.0.1:1", "--timeout", "0.1"], 1, "127.0.0.1:1"),
    ],
    ids=["usage", "configuration", "failure"],
)
def test_error_of_a_command_is_one_event(tmp_path: Path, arguments: list[str], code: int, text: str) -> None:
    """Also of a command line that is wrong."""
    done = run_command(*arguments, _JSON, cwd=tmp_path)
    (event,) = _events(done.stderr)
    assert (done.returncode, event["level"], event["event"]) == (code, "error", "error")
    assert text in event["text"]


@pytest.mark.parametrize("forced", [False, True], ids=["plain", "FORCE_COLOR"])
def test_log_of_a_run_has_no_progress_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forced: bool) -> None:
    """Neither bars nor carriage returns, nor moves of the cursor, even where colours are asked for."""
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    if forced:
        monkeypatch.setenv("FORCE_COLOR", "1")
    source = "synthetic@64x48,30fps,8frames"
    done = run_command(
        "run", source, "-p", "x", "--random-weights", "--model", write_tiny_config(tmp_path), cwd=tmp_path
    )
    assert done.returncode == 0
    assert "\r" not in done.stderr
    assert "\x1b[?25" not in done.stderr
    assert "\x1b[2K" not in done.stderr
    assert "8/8" not in done.stderr
    assert ("\x1b" in done.stderr) == forced
    quiet = run_command("up", _pipeline(tmp_path, source=source), "--log-level=error", cwd=tmp_path)
    assert (quiet.returncode, quiet.stderr) == (0, "")


def test_graph_says_what_it_waits_for_and_tells_the_service_manager(tmp_path: Path) -> None:
    """A camera is away and comes: ready in part, then ready. systemd hears it, and of the end."""
    address = tmp_path / "notify"
    with socket.socket() as camera, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        camera.bind(("127.0.0.1", 0))  # nobody listens
        manager.bind(str(address))
        manager.settimeout(_PATIENCE_S)
        source = f"http://127.0.0.1:{camera.getsockname()[1]}/snap.jpg#interval=0.1"
        environment = {**os.environ, "NOTIFY_SOCKET": str(address), "WATCHDOG_USEC": "300000"}
        environment.pop("WATCHDOG_PID", None)
        command: list[str | Path] = [CONSOLE_SCRIPT, "up", _pipeline(tmp_path, source=source)]
        with running(command, cwd=tmp_path, stderr=subprocess.PIPE, env=environment) as up:
            said = read_until(up.stderr, "masks at")
            assert "ready, but stream cam0 waits for its source: connecting" in said
            told: list[str] = []
            while not any(text.startswith("READY=1\nSTATUS=stream cam0: connecting") for text in told):
                told.append(manager.recv(2000).decode())
            while told[-1] != "WATCHDOG=1":
                told.append(manager.recv(2000).decode())
            up.send_signal(signal.SIGTERM)
            while told[-1] != "STOPPING=1":
                told.append(manager.recv(2000).decode())
            assert "ready:" not in up.communicate(timeout=_PATIENCE_S)[1]
