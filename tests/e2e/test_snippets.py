"""Snippets of the documents run as they stand: on a graph, and on a slow one that starts after they do.

`tests/contract/test_snippets.py` has those that are not run, and reads the rest of the command lines.
"""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from ssa_stream.checkpoints import load_checkpoint
from ssa_stream.model import SSA
from ssa_stream.nodes.launcher import Graph
from ssa_stream.nodes.pipeline import PipelineConfig
from ssa_stream.weight_files import DEFAULT_CHECKPOINT
from tests.support.command_line import CONSOLE_SCRIPT
from tests.support.graphs import running
from tests.support.snippets import Snippet, command_lines, of_documents

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("warm_python")]

# What a test has instead of what a reader has. Each of them occurs in some snippet.
STAND_INS = {
    '"ssa.safetensors"': f'"{DEFAULT_CHECKPOINT}"',
    '"rtsp://camera/stream"': '"synthetic@320x192,6frames"',
    '"the person carrying the box"': '"the red circle"',  # what the shipped weights know
    "range(32)": "range(1)",  # clips to evaluate
    "limit=32": "limit=1",
    "sample_clip(seed, 12,": "sample_clip(seed, 2,",
    'load_pipeline("demo")': 'load_pipeline("short.yaml")',  # which is the demo with free ports, and shorter
}
SHORT_DEMO = """
streams: {scene: {source: "synthetic@320x192,6frames", prompts: [the red circle]}}
public: {publish: "tcp://127.0.0.1:*", requests: "tcp://127.0.0.1:*"}
"""
PUBLISH, REQUESTS = "tcp://127.0.0.1:5555", "tcp://127.0.0.1:5556"
# Command lines that need a graph, and which of its addresses they take by default.
ON_A_GRAPH = {
    "ssa-stream watch cam0": PUBLISH,
    "ssa-stream status --watch": PUBLISH,
    "ssa-stream status --json": PUBLISH,
    "ssa-stream top --once": PUBLISH,
    "ssa-stream prompt add cam0 the red cup --id cup": REQUESTS,
}
ALONE = ["ssa-stream keys init keys --client robot", "ssa-stream sources list", "ssa-stream doctor --client"]
_COMMANDS = {" ".join(words): words for snippet in of_documents("shell") for words in command_lines(snippet)}
_PYTHON = [snippet for snippet in of_documents("python") if snippet.reason is None]
CLIENTS = [snippet for snippet in _PYTHON if PUBLISH in snippet.text]
PROGRAMS = [snippet for snippet in _PYTHON if snippet not in CLIENTS]
_ENOUGH_LINES = 2
_PATIENCE_S = 150.0


async def complaint(name: object, command: list[str], cwd: Path) -> str | None:
    """Run a program until it ends, or has printed enough and is interrupted; what is wrong with it."""
    process = await asyncio.create_subprocess_exec(
        *("env", "--default-signal=INT", *command),
        cwd=cwd,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    errors = asyncio.create_task(process.stderr.read())
    lines: list[bytes] = []
    has_enough = False
    try:
        async with asyncio.timeout(_PATIENCE_S):
            while line := await process.stdout.readline():
                lines.append(line)
                if len(lines) >= _ENOUGH_LINES and not has_enough and not process.returncode:
                    has_enough = True
                    process.send_signal(signal.SIGINT)
            await process.wait()
    except TimeoutError:
        return f"{name} does not end: it printed {lines}"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        printed = (await errors).decode()
    is_interrupted = has_enough and (process.returncode == 130 or printed.rstrip().endswith("KeyboardInterrupt"))
    return None if process.returncode == 0 or is_interrupted else f"{name}: {process.returncode} {printed}"


def program(snippet: Snippet, replaced: Mapping[str, str]) -> list[str]:
    """The command that runs a snippet, with stand-ins."""
    text = snippet.text
    for old, new in replaced.items():
        text = text.replace(old, new)
    return [sys.executable, "-c", text]


def graph(*, rate_hz: float, load_model: Any, **sections: Any) -> Graph:
    """A graph of one endless stream."""
    config = PipelineConfig.from_mapping(
        {
            "streams": {
                "cam0": {"source": f"synthetic@320x192,{rate_hz:g}fps", "prompts": {"p1": "the red circle"}},
            },
            "public": {"publish": "tcp://127.0.0.1:*", "requests": "tcp://127.0.0.1:*"},
            "masks": {"picture": "jpeg"},
            **sections,
        }
    )
    return Graph(config, load_model=load_model)


def free_addresses() -> tuple[str, str]:
    """Two that nobody listens at: clients have to know them before the graph is there."""
    with socket.socket() as one, socket.socket() as other:
        for found in (one, other):
            found.bind(("127.0.0.1", 0))
        first, second = (f"tcp://127.0.0.1:{found.getsockname()[1]}" for found in (one, other))
    return first, second


def slow_model() -> SSA:
    """The shipped network, as on a machine that it is too large for."""
    model = load_checkpoint(DEFAULT_CHECKPOINT)
    stem = model.encode_stem

    def encode_stem(images: Tensor) -> Tensor:
        time.sleep(0.3)
        return stem(images)

    model.encode_stem = encode_stem  # type: ignore[method-assign]  # an instance's own
    return model


async def complaints(runs: Mapping[object, list[str]], cwd: Path, at_once: int = 100) -> list[str]:
    """What is wrong with programs, some of which run at the same time."""
    places = asyncio.Semaphore(at_once)

    async def found(name: object, command: list[str]) -> str | None:
        async with places:
            return await complaint(name, command, cwd)

    found_all = await asyncio.gather(*(found(name, command) for name, command in runs.items()))
    return [one for one in found_all if one is not None]


def test_stand_ins_are_of_snippets() -> None:
    """None is left over."""
    texts = "".join(snippet.text for snippet in PROGRAMS + CLIENTS)
    assert [old for old in STAND_INS if old not in texts] == []
    assert [line for line in [*ON_A_GRAPH, *ALONE] if line not in _COMMANDS] == []


async def test_snippets_without_a_graph_run(tmp_path: Path) -> None:
    """All Python programs of the documents that are no clients, and quick commands."""
    (tmp_path / "short.yaml").write_text(SHORT_DEMO)
    runs: dict[object, list[str]] = {snippet: program(snippet, STAND_INS) for snippet in PROGRAMS}
    runs |= {line: [str(CONSOLE_SCRIPT), *_COMMANDS[line][1:]] for line in ALONE}
    assert await complaints(runs, tmp_path, at_once=1) == []  # networks that share the cores wait for each other


async def test_clients_run_on_a_graph(tmp_path: Path) -> None:
    """They get masks and pictures, states and prompts; Ctrl-C ends those that would go on."""
    made = graph(rate_hz=10, load_model=lambda: load_checkpoint(DEFAULT_CHECKPOINT))
    async with running(made):
        places = {PUBLISH: made.publish_address, REQUESTS: made.requests_address}
        runs: dict[object, list[str]] = {snippet: program(snippet, STAND_INS | places) for snippet in CLIENTS}
        for line, address in ON_A_GRAPH.items():
            runs[line] = [str(CONSOLE_SCRIPT), *_COMMANDS[line][1:], "--address", places[address]]
        assert await complaints(runs, tmp_path) == []


async def test_clients_run_on_a_slow_graph_that_starts_after_them(tmp_path: Path) -> None:
    """Masks every second or two, older than any usual limit."""
    publish, requests = free_addresses()
    places = STAND_INS | {PUBLISH: publish, REQUESTS: requests}
    runs: dict[object, list[str]] = {snippet: program(snippet, places) for snippet in CLIENTS}
    public, flow = {"publish": publish, "requests": requests}, {"staleness_s": 60}
    clients = asyncio.create_task(complaints(runs, tmp_path))
    await asyncio.sleep(1.0)  # they wait for the graph by now
    try:
        async with running(graph(rate_hz=0.7, load_model=slow_model, public=public, flow=flow)):
            assert await clients == []
    finally:
        clients.cancel()
        await asyncio.wait([clients])
