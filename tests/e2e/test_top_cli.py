"""`ssa-stream top` as a user runs it, beside a scripted graph."""

import asyncio
import os
import pty
import subprocess
from pathlib import Path

import pytest

from tests.support.command_line import CONSOLE_SCRIPT, run_command
from tests.support.scripted_nodes import PATIENCE_S, Graph, graph, heartbeat, source_state
from tests.support.threads import in_thread

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("warm_python")]


async def _something_to_see(running: Graph) -> None:
    node = await running.greeted("ingest-cam0")
    await node.say(source_state(address="a camera"))
    await node.say(heartbeat("ingest-cam0"))


@pytest.mark.parametrize("words", [["--once"], []], ids=["once", "pipe"])
async def test_top_prints_once_into_a_pipe(words: list[str], tmp_path: Path) -> None:
    """Streams and nodes, without codes for terminals."""
    async with graph() as running:
        await _something_to_see(running)
        command = ["top", "--address", running.broker.publish_address, *words]
        result = await in_thread(lambda: run_command(*command, cwd=tmp_path))
    assert (result.returncode, result.stderr) == (0, "")
    assert "running a camera" in result.stdout
    assert "ingest-cam0" in result.stdout
    assert "\x1b" not in result.stdout


async def test_top_ends_at_q_and_leaves_the_terminal_as_it_was() -> None:
    """It draws on a screen of its own."""
    async with graph() as running:
        await _something_to_see(running)
        person, program = pty.openpty()
        process = _start(running.broker.publish_address, program)
        try:
            os.set_blocking(person, False)
            drawn = b""
            async with asyncio.timeout(PATIENCE_S):
                while b"ingest-cam0" not in drawn:
                    await asyncio.sleep(0.02)
                    drawn += _read(person)
                os.write(person, b"q")
                while process.poll() is None:
                    await asyncio.sleep(0.02)
                    drawn += _read(person)
            drawn += _read(person)
            assert process.returncode == 0
            assert drawn.count(b"\x1b[?1049h") == drawn.count(b"\x1b[?1049l") == 1
        finally:
            process.kill()
            process.wait()
            os.close(person)
            os.close(program)


async def test_top_without_a_graph_says_what_to_do(tmp_path: Path) -> None:
    """With exit code 1."""
    result = await in_thread(
        lambda: run_command("top", "--address", "tcp://127.0.0.1:1", "--timeout", "0.1", cwd=tmp_path)
    )
    assert result.returncode == 1
    assert "start one with: ssa-stream up" in result.stderr


def _start(address: str, terminal: int) -> subprocess.Popen[bytes]:
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
    command = [str(CONSOLE_SCRIPT), "top", "--address", address]
    return subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal, env=environment)


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65_536)
    except BlockingIOError:
        return b""
