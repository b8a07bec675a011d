"""Nodes that are killed while a file runs: every frame comes out all the same, and everybody is told."""

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ssa_stream.nodes.runtime.transport.segments import memory_folder
from ssa_stream.protocols import FrameIdentity, MaskMessage
from tests.support.command_line import CONSOLE_SCRIPT
from tests.support.graph_streams import Material, answers_of_graph, answers_of_session, graph_of, make_material
from tests.support.graphs import PATIENCE_S, Watched, is_alive, listing, watched
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("warm_python")]

_PROMPTS = ["a dog", "the red car"]
_BEFORE = 8
"""Frames that come out before the accident."""


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    """Weights and 40 pictures."""
    return make_material(tmp_path_factory.mktemp("stream"), num_frames=40)


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary folder of its own, to see what a graph leaves there."""
    with tempfile.TemporaryDirectory(prefix="t") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


def _frames(seen: Watched) -> list[FrameIdentity]:
    return [message.frame for message in seen.listener.messages(MaskMessage)]


@pytest.mark.parametrize("name", ["encoder-0", "queries-0", "decoder-0", "masks-0", "ingest-cam0"])
async def test_killed_node_costs_no_frame_of_a_file(material: Material, name: str, tmp_path: Path) -> None:
    """All frames come out in order, in a new epoch; but for ingest, with the results of an undisturbed run."""
    graph = graph_of(
        material,
        "processes",
        {"cam0": {"prompts": _PROMPTS}},
        decoder={"checkpoint": str(tmp_path / "states"), "checkpoint_every_s": 1e-6},
    )
    async with watched(graph) as seen:
        await seen.frames(_BEFORE)
        graph.kill(name)
        report = await seen.ended()
    assert seen.listener.indices() == list(range(material.num_frames))
    assert {frame.epoch for frame in _frames(seen)} == {0, 1}
    assert report.restarts == {name: 1}
    assert seen.listener.events(name) == ["node_lost", "node_restarted"]
    if name != "ingest-cam0":
        assert answers_of_graph(seen.listener.masks()) == answers_of_session(material, _PROMPTS)


async def test_hanging_node_is_replaced_and_costs_no_frame(material: Material) -> None:
    """A process that stands still is noticed by its silence."""
    graph = graph_of(material, "processes", {"cam0": {"prompts": _PROMPTS}}, health={"heartbeat_timeout_s": 2.0})
    async with watched(graph) as seen:
        await seen.frames(_BEFORE)
        pid = graph.pid("queries-0")
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        report = await seen.ended()
    assert seen.listener.indices() == list(range(material.num_frames))
    assert report.restarts == {"queries-0": 1}
    assert not is_alive(pid)


@pytest.mark.parametrize("placement", ["fused", "processes"])
async def test_interrupted_command_leaves_nothing(material: Material, placement: str, temporary: Path) -> None:
    """Ctrl-C ends everything in order: exit code 0, no process, no socket, no shared memory, no folder."""
    pipeline = temporary / "p.yaml"
    pipeline.write_text(
        f"placement: {placement}\nmodel: {{checkpoint: {material.checkpoint}, device: cpu}}\n"
        f"public: {{publish: 'tcp://127.0.0.1:*', requests: 'tcp://127.0.0.1:*'}}\n"
        f"streams: {{cam0: {{source: 'synthetic@64x48,20fps', live: true, prompts: [a dog]}}}}\n"
    )
    command = await asyncio.create_subprocess_exec(
        CONSOLE_SCRIPT, "up", str(pipeline), stderr=asyncio.subprocess.PIPE, env=os.environ | {"TMPDIR": str(temporary)}
    )
    assert command.stderr is not None
    async with asyncio.timeout(PATIENCE_S):
        while b"ready" not in await command.stderr.readline():
            pass
        children = _children(command.pid)
        command.send_signal(signal.SIGINT)
        code, rest = await command.wait(), await command.stderr.read()
    assert code == 0, rest
    assert b"ended by a signal" in rest
    assert len(children) == (0 if placement == "fused" else 5)
    await until(lambda: not any(is_alive(pid) for pid in children))
    assert listing(temporary) == ["p.yaml"]
    assert [name for name in listing(memory_folder()) if name.startswith(f"ssa-ssa-{command.pid}-")] == []


def _children(pid: int) -> list[int]:
    if sys.platform != "linux":
        pytest.skip("needs /proc")
    return [int(child) for path in Path(f"/proc/{pid}/task").glob("*/children") for child in path.read_text().split()]
