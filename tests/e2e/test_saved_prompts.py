"""Prompts that were changed at run time, over restarts of the graph, through the installed commands."""

import json
import os
import signal
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import CONSOLE_SCRIPT, read_until, run_command

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("warm_python")]

_PIPELINE = """
name: street
model: {random_weights: true}
public: {publish: "tcp://127.0.0.1:*", requests: "tcp://127.0.0.1:*"}
streams:
  cam: {source: "synthetic@64x48,5fps", live: true, prompts: [the red circle], changes: [{at_s: 900, prompts: [late]}]}
"""


class _Up:
    """A graph that runs.

    Attributes:
        printed: What it said until it was ready.
    """

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.printed = read_until(process.stderr, "requests at")
        self._requests = self.printed.split("requests at ")[1].split()[0]

    def prompt(self, *words: str, code: int = 0) -> Any:
        """What `ssa-stream prompt` answers, or why it refuses."""
        options = ["--address", self._requests, *(["--json"] if code == 0 else [])]
        done = run_command("prompt", *words, *options, cwd=Path.cwd())
        assert done.returncode == code, done.stderr
        return done.stderr if code else json.loads(done.stdout)

    def end(self, number: signal.Signals = signal.SIGINT) -> None:
        """End it."""
        self.process.send_signal(number)
        self.process.communicate(timeout=60)


@contextmanager
def _up(pipeline: Path, *options: str) -> Iterator[_Up]:
    command = [CONSOLE_SCRIPT, "up", pipeline, *options]
    with subprocess.Popen(
        [str(part) for part in command],
        cwd=pipeline.parent,
        text=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            yield _Up(process)
        finally:
            process.kill()


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    """A pipeline with one live stream."""
    path = tmp_path / "street.yaml"
    path.write_text(_PIPELINE)
    return path


def _texts(answer: Any) -> dict[str, str]:
    return {prompt["id"]: prompt["text"] for prompt in answer["prompts"]}


def test_changed_prompts_are_there_after_a_restart_and_after_a_kill(pipeline: Path) -> None:
    """With their ids and their version, which only grows; an acknowledged change survives SIGKILL."""
    with _up(pipeline) as graph:
        assert "prompts as last changed" not in graph.printed
        changed = graph.prompt("set", "cam", "the red circle", "the blue square")
        assert changed["version"] == 2
        assert "prompt p2 already" in graph.prompt("add", "cam", "The blue  square", code=2)
        graph.end()
    (file,) = Path(os.environ["XDG_STATE_HOME"]).glob("ssa_stream/street-*/prompts.json")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with _up(pipeline) as graph:
        assert "stream cam: prompts as last changed at" in graph.printed
        assert "its planned changes are left out" in graph.printed
        again = graph.prompt("list", "cam")
        assert (_texts(again), again["version"]) == (_texts(changed), 2)
        assert graph.prompt("remove", "cam", "p1")["version"] == 3
        assert graph.prompt("add", "cam", "the green star")["prompts"][-1]["id"] == "p3"
        graph.end(signal.SIGKILL)
    with _up(pipeline) as graph:
        killed = graph.prompt("list", "cam")
        assert (_texts(killed), killed["version"]) == ({"p2": "the blue square", "p3": "the green star"}, 4)
        graph.end()


def test_fresh_other_configuration_and_damaged_file_begin_with_the_pipeline(pipeline: Path, tmp_path: Path) -> None:
    """Each says so in a line; the version goes on, as far as it is known."""
    state = ("--state", str(tmp_path / "state"))
    with _up(pipeline, *state) as graph:
        graph.prompt("set", "cam", "the blue square")
        with _up(pipeline, *state) as second:
            assert "another graph of this pipeline saves its prompts in" in second.printed
            second.end()
        graph.end()
    with _up(pipeline, *state, "-p", "the door") as graph:
        assert "which says others than when they were last changed" in graph.printed
        assert (_texts(listed := graph.prompt("list", "cam")), listed["version"]) == ({"p1": "the door"}, 3)
        graph.prompt("set", "cam", "the window")
        graph.end()
    with _up(pipeline, *state, "-p", "the door", "--fresh") as graph:
        assert "are dropped (--fresh)" in graph.printed
        assert (_texts(listed := graph.prompt("list", "cam")), listed["version"]) == ({"p1": "the door"}, 5)
        graph.end()
    (file,) = (tmp_path / "state").glob("street-*/prompts.json")
    file.write_text('{"format": "ssa_stream prompts", "version": 2}')
    with _up(pipeline, *state) as graph:
        assert "a newer ssa_stream wrote it" in graph.printed
        assert _texts(graph.prompt("list", "cam")) == {"p1": "the red circle"}
        graph.end()
    assert [path.name[:15] for path in file.parent.iterdir()] == ["prompts-unread-"]
