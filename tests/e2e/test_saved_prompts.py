"""Prompts that were changed at run time, over restarts of the graph, through the installed commands, and of nodes."""

import json
import os
import signal
import stat
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ssa_stream.client import AsyncPromptClient
from ssa_stream.files import write_whole
from ssa_stream.nodes.broker import saved_prompts
from ssa_stream.nodes.launcher import Graph, SavedPrompts
from ssa_stream.nodes.pipeline import PipelineConfig
from ssa_stream.protocols import Heartbeat, MaskMessage, PromptReply, PromptState, SetPrompts, StartStream
from tests.support.command_line import CONSOLE_SCRIPT, read_until, run_command, write_tiny_config
from tests.support.graphs import watched
from tests.support.scripted_nodes import HERE, STICK, graph, pipeline
from tests.support.waiting import until

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
def street(tmp_path: Path) -> Path:
    """A pipeline with one live stream."""
    path = tmp_path / "street.yaml"
    path.write_text(_PIPELINE)
    return path


def _texts(answer: Any) -> dict[str, str]:
    return {prompt["id"]: prompt["text"] for prompt in answer["prompts"]}


def test_changed_prompts_are_there_after_a_restart_and_after_a_kill(street: Path) -> None:
    """With their ids and their version, which only grows; an acknowledged change survives SIGKILL."""
    with _up(street) as graph:
        assert "prompts as last changed" not in graph.printed
        changed = graph.prompt("set", "cam", "the red circle", "the blue square")
        assert changed["version"] == 2
        assert "prompt p2 already" in graph.prompt("add", "cam", "The blue  square", code=2)
        graph.end()
    (file,) = Path(os.environ["XDG_STATE_HOME"]).glob("ssa_stream/street-*/prompts.json")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with _up(street) as graph:
        assert "stream cam: prompts as last changed at" in graph.printed
        assert "its planned changes are left out" in graph.printed
        again = graph.prompt("list", "cam")
        assert (_texts(again), again["version"]) == (_texts(changed), 2)
        assert graph.prompt("remove", "cam", "p1")["version"] == 3
        assert graph.prompt("add", "cam", "the green star")["prompts"][-1]["id"] == "p3"
        graph.end(signal.SIGKILL)
    with _up(street) as graph:
        killed = graph.prompt("list", "cam")
        assert (_texts(killed), killed["version"]) == ({"p2": "the blue square", "p3": "the green star"}, 4)
        graph.end()


def test_fresh_other_configuration_and_damaged_file_begin_with_the_pipeline(street: Path, tmp_path: Path) -> None:
    """Each says so in a line; the version goes on, as far as it is known."""
    state = ("--state", str(tmp_path / "state"))
    with _up(street, *state) as graph:
        graph.prompt("set", "cam", "the blue square")
        with _up(street, *state) as second:
            assert "another graph of this pipeline saves its prompts in" in second.printed
            second.end()
        graph.end()
    with _up(street, *state, "-p", "the door") as graph:
        assert "which says others than when they were last changed" in graph.printed
        assert (_texts(listed := graph.prompt("list", "cam")), listed["version"]) == ({"p1": "the door"}, 3)
        graph.prompt("set", "cam", "the window")
        graph.end()
    with _up(street, *state, "-p", "the door", "--fresh") as graph:
        assert "are dropped (--fresh)" in graph.printed
        assert (_texts(listed := graph.prompt("list", "cam")), listed["version"]) == ({"p1": "the door"}, 5)
        graph.end()
    (file,) = (tmp_path / "state").glob("street-*/prompts.json")
    file.write_text('{"format": "ssa_stream prompts", "version": 2}')
    with _up(street, *state) as graph:
        assert "a newer ssa_stream wrote it" in graph.printed
        assert _texts(graph.prompt("list", "cam")) == {"p1": "the red circle"}
        graph.end()
    assert [path.name[:15] for path in file.parent.iterdir()] == ["prompts-unread-"]


async def test_answer_waits_for_the_disk_and_nothing_else_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has the answer may pull the plug; a disk that fails is told with it."""
    let_go = threading.Event()

    def slow(path: Path, content: bytes, **options: Any) -> None:
        let_go.wait(20)
        write_whole(path, content, **options)

    changed = PromptState(stream="cam0", prompts=STICK, version=2, applies_from=HERE, by_client=True)
    with SavedPrompts(tmp_path, pipeline()) as saved:
        monkeypatch.setattr(saved_prompts, "write_whole", slow)
        monkeypatch.setattr(saved_prompts, "_WAIT_S", 20.0)
        async with graph(saved=saved) as running:
            node, client = await running.greeted("ingest-cam0"), running.client()
            await node.hear(StartStream)

            async def change(version: int) -> None:
                await client.say(SetPrompts(request_id="r1", stream="cam0", prompts=()))
                came = await node.hear(SetPrompts)
                await node.say(msgspec.structs.replace(changed, version=version))
                reply = PromptReply(
                    request_id=came.request_id, stream="cam0", prompts=STICK, version=version, applies_from=HERE
                )
                await node.say(reply)

            await change(2)
            await until(lambda: saved.is_writing)
            await node.hear(Heartbeat)
            await node.hear(Heartbeat)
            assert await client.silent()
            let_go.set()
            assert (await client.hear(PromptReply)).warnings is msgspec.UNSET
            assert b"the stick" in (tmp_path / "prompts.json").read_bytes()
            (tmp_path / "prompts.json").unlink()
            (tmp_path / "prompts.json").mkdir()
            await change(3)
            (warning,) = (await client.hear(PromptReply)).warnings or ()
            assert "in force, but not saved for the next start" in warning


async def test_prompts_survive_the_end_of_every_node(tmp_path: Path) -> None:
    """With their version; masks of the new start are of the changed prompts."""
    config = PipelineConfig.from_mapping(
        {
            "placement": "processes",
            "model": {"name": str(write_tiny_config(tmp_path)), "random_weights": True, "threads": 1},
            "session": {"window": 2, "short_edge_px": 32},
            "health": {"heartbeat_s": 0.1, "backoff_s": 0.05},
            "public": {"publish": "tcp://127.0.0.1:*", "requests": "tcp://127.0.0.1:*"},
            "streams": {"cam0": {"source": "synthetic@64x48,10fps", "live": True, "prompts": ["a dog"]}},
        }
    )
    async with watched(Graph(config)) as seen:
        await seen.ready()
        async with AsyncPromptClient(seen.graph.requests_address, "cam0") as prompts:
            changed = await prompts.set({"cat": "a cat"})
            assert changed.version == 2
            for name in config.node_names:
                before = len(seen.listener.packets)
                seen.graph.kill(name)
                await until(lambda: seen.listener.events(name)[-2:] == ["node_lost", "node_restarted"])  # noqa: B023  waited for at once
                back = max(i for i, packet in enumerate(seen.listener.packets) if i >= before)
                await until(
                    lambda: any(isinstance(one.message, MaskMessage) for one in seen.listener.packets[back + 1 :])  # noqa: B023  likewise
                )
                masks = [
                    one.message for one in seen.listener.packets[back + 1 :] if isinstance(one.message, MaskMessage)
                ]
                assert {(one.prompt.id, one.prompt.text, one.prompts_version) for one in masks} == {("cat", "a cat", 2)}
                listed = await prompts.list()
                assert (listed.prompts, listed.version) == (changed.prompts, 2)
