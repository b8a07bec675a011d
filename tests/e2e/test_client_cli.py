"""`ssa-stream watch`, `status` and `prompt` as a user runs them, beside a scripted graph."""

import asyncio
import json
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ssa_stream.protocols import STATE, AppliesFrom, ListPrompts, Prompt, PromptReply, PromptState, Topic, encode
from tests.support.command_line import CONSOLE_SCRIPT, read_until, run_command
from tests.support.mask_messages import mask_parts, publishing
from tests.support.scripted_nodes import PATIENCE_S, graph, heartbeat, source_state
from tests.support.threads import in_thread

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("warm_python")]


@pytest.fixture
def address() -> Iterator[str]:
    """A publisher of masks."""
    with publishing(lambda number: [mask_parts(number)]) as found:
        yield found


def test_watch_prints_what_comes_and_ends_after_some(address: str, tmp_path: Path) -> None:
    """As lines and as JSON."""
    plain = run_command("watch", "cam0", "--address", address, "--count", "3", cwd=tmp_path)
    assert plain.returncode == 0
    assert [line.split()[0] for line in plain.stdout.splitlines()] == ["cam0"] * 3
    as_json = run_command("watch", "--address", address, "--count", "2", "--json", cwd=tmp_path)
    first, second = map(json.loads, as_json.stdout.splitlines())
    assert first["seq"] < second["seq"]


def test_watch_tells_on_stderr_of_a_source_that_is_lost(tmp_path: Path) -> None:
    """Masks, on stdout, stay what programs read."""

    def published(number: int) -> list[list[Any]]:
        failure: dict[str, Any] = {"text": "connection refused", "code": "refused", "attempt": 3}
        lost = source_state(status="lost", retry_in_s=max(0.0, 4.0 - number / 100), **failure)
        trying = source_state(status="lost", **failure | {"attempt": 4})
        return [mask_parts(number), *(encode(one, topic=Topic("cam0", STATE)) for one in (lost, trying, lost))]

    with publishing(published) as address:
        watched = run_command("watch", "--address", address, "--count", "20", "--json", cwd=tmp_path)
    assert watched.returncode == 0
    assert len([json.loads(line) for line in watched.stdout.splitlines()]) == 20
    assert len(watched.stderr.splitlines()) == 1
    assert re.fullmatch(
        r"cam0  reconnecting, attempt 3, next in \d s: connection refused \(refused\)", watched.stderr.strip()
    )


@contextmanager
def _running(*words: str) -> Iterator[subprocess.Popen[str]]:
    command = [str(CONSOLE_SCRIPT), *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


async def test_watch_says_what_it_waits_for(tmp_path: Path) -> None:
    """On stderr, again whenever it is something else; a stream that the graph does not have is refused."""
    async with graph() as running:
        node, address = await running.greeted("ingest-cam0"), running.broker.publish_address
        await node.say(heartbeat("ingest-cam0", ready=False))
        refused = await in_thread(lambda: run_command("watch", "nosuch", "--address", address, cwd=tmp_path))
        assert (refused.returncode, refused.stdout) == (2, "")
        assert refused.stderr.endswith("has no stream 'nosuch'; expected one of cam0\n")
        with _running("watch", "cam0", "--address", address) as process:
            await in_thread(lambda: read_until(process.stderr, "waiting: the graph is not ready yet: ingest-cam0\n"))
            await node.say(heartbeat("ingest-cam0", beat=1))
            await node.say(source_state(status="starting", text="connection refused", code="refused", attempt=2))
            await in_thread(lambda: read_until(process.stderr, "waiting: stream cam0 is connecting, attempt 2: conn"))
            await node.say(source_state())
            await node.say(PromptState(stream="cam0", prompts=(), version=1, applies_from=AppliesFrom(epoch=0, seq=0)))
            await in_thread(lambda: read_until(process.stderr, "waiting: stream cam0 has no prompts; give it one"))
    with _running("watch", "--address", "tcp://127.0.0.1:1") as process:
        await in_thread(lambda: read_until(process.stderr, "waiting for a graph at tcp://127.0.0.1:1; start one with"))


def test_watch_ends_quietly_at_ctrl_c(address: str) -> None:
    """Exit code 0: that is how it is ended."""
    with _running("watch", "--address", address) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("cam0")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE_S)
        assert (process.returncode, errors) == (0, "")


def test_watch_ends_quietly_when_its_reader_does(address: str) -> None:
    """As in `ssa-stream watch | head`."""
    with _running("watch", "--address", address) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(PATIENCE_S) == 0
        assert process.stderr.read() == ""


async def test_status_shows_a_graph(tmp_path: Path) -> None:
    """Streams and nodes, as tables and as JSON."""
    async with graph() as running:
        node = await running.greeted("ingest-cam0")
        await node.say(heartbeat("ingest-cam0"))
        await node.say(source_state(next_index=77))
        address = running.broker.publish_address
        shown = await in_thread(lambda: run_command("status", "--address", address, cwd=tmp_path))
        assert shown.returncode == 0, shown.stderr
        assert "ingest-cam0" in shown.stdout
        found = await in_thread(lambda: run_command("status", "--json", "--address", address, cwd=tmp_path))
        assert json.loads(found.stdout)["streams"]["cam0"]["source"]["next_index"] == 77


async def test_prompts_are_listed(tmp_path: Path) -> None:
    """By the node of the stream, through the broker."""
    prompts = (Prompt(id="p1", text="the stick", version=1),)
    async with graph() as running:
        node, address = await running.greeted("ingest-cam0"), running.broker.requests_address
        listing = asyncio.create_task(
            in_thread(lambda: run_command("prompt", "list", "cam0", "--address", address, cwd=tmp_path))
        )
        asked = await node.hear(ListPrompts)
        place = AppliesFrom(epoch=0, seq=0)
        await node.say(
            PromptReply(request_id=asked.request_id, stream="cam0", prompts=prompts, version=1, applies_from=place)
        )
        assert "the stick" in (await listing).stdout
