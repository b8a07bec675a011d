"""Processes that do not run for a while: the launcher alone (Ctrl-Z and fg), and all together (a paused container)."""

import asyncio
import functools
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from ssa_stream.protocols import Event
from tests.support.command_line import CONSOLE_SCRIPT
from tests.support.graph_streams import Material, make_material
from tests.support.graphs import PATIENCE_S, Listener
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("warm_python")]

_TIMEOUT_S = 1.0
_AWAY_S = 3 * _TIMEOUT_S
_SILENCE = f"heartbeat_s: 0.1, heartbeat_timeout_s: {_TIMEOUT_S}, hang_timeout_s: {_TIMEOUT_S}"


@dataclass(frozen=True)
class _Command:
    """A graph that the command line runs, with what was heard of it."""

    process: asyncio.subprocess.Process
    listener: Listener
    health: str

    @property
    def children(self) -> list[int]:
        """Processes of its nodes."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return sorted(int(child) for path in tasks for child in path.read_text().split())

    def events(self) -> list[str]:
        """Kinds of all events that nodes and broker told so far, but for those of prompts and epochs."""
        told = [event.kind for event in self.listener.messages(Event)]
        return [kind for kind in told if kind not in ("prompts_changed", "epoch")]

    def was_away(self, times: int) -> bool:
        """Whether the launcher said so often that it was away."""
        return self.events().count("launcher_away") >= times

    async def more_masks(self, count: int = 20) -> None:
        """Wait until masks of so many further frames have come."""
        wanted = len(self.listener.indices()) + count
        await until(lambda: len(self.listener.indices()) >= wanted, "masks go on")

    async def pause(self, *pids: int) -> None:
        """Stop processes for longer than anybody may be silent, and let them go on."""
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        await asyncio.sleep(_AWAY_S)  # how long it lasts is the point
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@asynccontextmanager
async def _running(material: Material, folder: Path, placement: str) -> AsyncIterator[_Command]:
    """`ssa-stream up` with a live source, from its first masks to its orderly end."""
    if sys.platform != "linux":
        pytest.skip("needs /proc")
    pipeline = folder / "p.yaml"
    pipeline.write_text(
        f"placement: {placement}\nmodel: {{checkpoint: {material.checkpoint}, device: cpu, threads: 1}}\n"
        f"public: {{publish: 'tcp://127.0.0.1:*', requests: 'tcp://127.0.0.1:*'}}\nhealth: {{{_SILENCE}}}\n"
        f"streams: {{cam0: {{source: 'synthetic@64x48,20fps', live: true, prompts: [a dog]}}}}\n"
    )
    process = await asyncio.create_subprocess_exec(
        CONSOLE_SCRIPT, "up", str(pipeline), "--http", "127.0.0.1:0", stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    try:
        said = ""
        async with asyncio.timeout(PATIENCE_S):
            while "ready: masks at" not in said:
                line = await process.stderr.readline()
                assert line, said
                said += line.decode()
        publish, health = _found(r"masks at (\S+),", said), _found(r"health at (\S+)/readyz", said)
        reading = asyncio.create_task(process.stderr.read())
        async with Listener(publish) as listener:
            command = _Command(process, listener, health)
            await command.more_masks(5)
            yield command
            process.send_signal(signal.SIGINT)
            async with asyncio.timeout(PATIENCE_S):
                assert await process.wait() == 0, (await reading).decode()
                rest = (await reading).decode()
        assert "restarts of" not in rest, rest
        assert "the launcher was away" in rest, rest
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGCONT)
            process.kill()
            await process.wait()


def _found(pattern: str, said: str) -> str:
    """What the command said of an address."""
    match = re.search(pattern, said)
    assert match is not None, said
    return match[1]


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    """Weights of a small network."""
    return make_material(tmp_path_factory.mktemp("weights"), num_frames=1)


@pytest.mark.parametrize("placement", ["processes", "fused"])
async def test_launcher_that_was_stopped_judges_nobody_by_that_time(
    material: Material, placement: str, tmp_path: Path
) -> None:
    """After Ctrl-Z and fg the same processes go on, masks flow, and one event says how long it was away.

    The second time all processes are stopped, as in a container that is paused.
    """
    async with _running(material, tmp_path, placement) as command:
        nodes = command.children
        assert len(nodes) == (0 if placement == "fused" else 5)
        for away, pids in enumerate([(command.process.pid,), (*nodes, command.process.pid)], start=1):
            await command.pause(*pids)
            async with aiohttp.ClientSession() as client, client.get(f"{command.health}/livez") as answer:
                assert answer.status == 200, await answer.text()
            await command.more_masks()
            await until(functools.partial(command.was_away, away), "it says that it was away")
        assert command.events() == ["launcher_away"] * 2
        assert command.children == nodes
        text = next(event.text for event in command.listener.messages(Event) if event.kind == "launcher_away")
        assert re.match(r"the launcher did not run for [3-9]\.\d s", text), text
