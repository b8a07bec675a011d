"""`--log-format json`: whatever happens, every line on stderr is one JSON object; and no log holds what moves."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest
import yaml

from ssa_stream.errors import ConfigError
from ssa_stream.log_lines import log_settings, use_log
from ssa_stream.nodes.launcher import Graph
from ssa_stream.nodes.launcher.processes import node_command
from ssa_stream.nodes.launcher.run_dir import RunDir
from ssa_stream.nodes.pipeline import load_pipeline
from tests.support.command_line import CONSOLE_SCRIPT, read_until, run_command, running, write_tiny_config

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("warm_python")]

_PATIENCE_S = 60.0
_JSON = "--log-format=json"


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


def test_graph_that_loses_a_process_and_warns_logs_json_only(tmp_path: Path) -> None:
    """The gateway is killed, and a prompt is too long; the warning at the end is an event, too."""
    if sys.platform != "linux":
        pytest.skip("needs /proc")
    pipeline = _pipeline(tmp_path, prompts=["the red circle " * 60])
    command: list[str | Path] = [CONSOLE_SCRIPT, "serve", pipeline, "--port=0", _JSON]
    with running(command, cwd=tmp_path, stderr=subprocess.PIPE) as graph:
        said = read_until(graph.stderr, '"event": "ready"')
        os.kill(_gateway_of(graph.pid), signal.SIGKILL)
        said += read_until(graph.stderr, '"restarted"')
        graph.send_signal(signal.SIGTERM)
        said += graph.communicate(timeout=_PATIENCE_S)[1]
        assert graph.returncode == 0, said
    found = [(event["level"], event["node"], event["event"]) for event in _events(said)]
    assert ("warning", "gateway-0", "lost") in found
    assert ("info", "gateway-0", "restarted") in found
    assert found.count(("info", "gateway", "page")) == 2
    assert ("warning", "launcher", "input_warning") in found
    assert found.count(("info", "launcher", "ready")) == 1


def _gateway_of(launcher: int) -> int:
    """The process of the gateway that a launcher has started."""
    for path in Path(f"/proc/{launcher}/task").glob("*/children"):
        for child in path.read_text().split():
            if b"ssa_stream.nodes.gateway" in Path(f"/proc/{child}/cmdline").read_bytes():
                return int(child)
    raise AssertionError("there is no gateway")


@pytest.fixture
def as_json() -> Iterator[None]:
    """This process logs in JSON, and so do nodes that it starts."""
    before = log_settings()
    use_log(format="json", level="info", node="launcher")
    yield
    use_log(format=before.format, level=before.level, node=before.node)


@pytest.mark.usefixtures("as_json")
async def test_lines_of_nodes_are_json_and_say_why_a_node_ended(tmp_path: Path) -> None:
    """Its log, what it prints besides, and the error that it ends with, which the launcher understands."""
    wrong = "import os; os.write(2, b'of a library\\n'); import ssa_stream.nodes.encoder.__main__"
    lines: list[str] = []

    def command(name: str, incarnation: int, run_dir: RunDir) -> list[str]:
        words = node_command(name, incarnation, run_dir)
        if name != "encoder-0":
            return words
        arguments = [word.replace("pipeline.yaml", "no.yaml") for word in words[4:]]
        return [sys.executable, "-c", wrong, *arguments]

    config = load_pipeline(str(_pipeline(tmp_path, source="synthetic@64x48,30fps,4frames")))
    graph = Graph(msgspec.structs.replace(config, placement="processes"), command=command, on_line=lines.append)
    with pytest.raises(ConfigError, match=r"encoder-0 did not start: .*no\.yaml"):
        await graph.run(asyncio.Event())
    events = _events("\n".join(lines))
    of_encoder = [(event["event"], event["level"]) for event in events if event["node"] == "encoder-0"]
    assert of_encoder == [("stderr", "info"), ("ended by an error", "error")]


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
        (["status", "--watch", "--address", "tcp://127.0.0.1:1", "--timeout", "0.1"], 1, "127.0.0.1:1"),
    ],
    ids=["usage", "configuration", "failure", "status"],
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


def test_level_leaves_out_what_is_less_important(tmp_path: Path) -> None:
    """Of a graph that does its work, all."""
    source = "synthetic@64x48,30fps,8frames"
    quiet = run_command("up", _pipeline(tmp_path, source=source), "--log-level=error", cwd=tmp_path)
    assert (quiet.returncode, quiet.stderr) == (0, "")


def test_graph_says_what_it_waits_for_and_tells_the_service_manager(tmp_path: Path) -> None:
    """A camera is away: ready but for it. It comes: ready. systemd hears both, signs of life, and of the end."""
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        manager.bind(address)
        manager.settimeout(_PATIENCE_S)
        environment = {**os.environ, "NOTIFY_SOCKET": address, "WATCHDOG_USEC": "300000"}
        environment.pop("WATCHDOG_PID", None)
        pipeline = _pipeline(tmp_path, source=f"http://127.0.0.1:{port}/snap.png#interval=0.1")
        with running([CONSOLE_SCRIPT, "up", pipeline], cwd=tmp_path, stderr=subprocess.PIPE, env=environment) as up:
            said = read_until(up.stderr, "masks at")
            assert "ready, but stream cam0 waits for its source: " in said
            assert "(refused); masks at" in said
            assert _hears(manager, "READY=1\nSTATUS=stream cam0: ")
            with _camera(port):
                assert "ready: masks at" in read_until(up.stderr, "ready:")
                assert _hears(manager, "READY=1\nSTATUS=ready")
                assert _hears(manager, "WATCHDOG=1")
                up.send_signal(signal.SIGTERM)
                assert _hears(manager, "STOPPING=1")
                up.communicate(timeout=_PATIENCE_S)


def _hears(manager: socket.socket, text: str) -> bool:
    """Whether it is told that some time; waits for it."""
    while not manager.recv(4000).decode().startswith(text):
        pass
    return True


@contextmanager
def _camera(port: int) -> Iterator[None]:
    """Gives a picture to everybody who asks."""
    ok, picture = cv2.imencode(".png", np.zeros((48, 64, 3), np.uint8))
    assert ok

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "image/png")
            self.send_header("Content-Length", str(picture.size))
            self.end_headers()
            self.wfile.write(picture.tobytes())

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", port), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def test_doctor_tries_the_sources_of_a_pipeline_and_leaves_nothing(tmp_path: Path) -> None:
    """One works, one does not: exit code 1, in JSON what was seen of each."""
    pipeline = _pipeline(tmp_path, outputs=["out.mp4"])
    plain = yaml.safe_load(pipeline.read_text())
    plain["streams"]["cam1"] = {"source": "rtsp://127.0.0.1:1/x", "prompts": ["a circle"]}
    pipeline.write_text(yaml.safe_dump(plain))
    before = sorted(tmp_path.iterdir())
    done = run_command("doctor", pipeline, "--seconds", "0.3", "--json", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    good, bad = found["sources"]
    assert (good["size"], good["live"], good["problem"]) == ([48, 64], True, "")
    assert good["frames"] > 1
    assert (bad["code"], bad["opened_s"]) == ("refused", None)
    verdicts = {finding["check"]: finding["verdict"] for finding in found["findings"]}
    assert (verdicts["source cam0"], verdicts["source cam1"], verdicts["outputs"]) == ("ok", "fail", "ok")
    assert sorted(tmp_path.iterdir()) == before
    assert done.stderr == ""
