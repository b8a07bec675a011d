"""Processes of a graph are watched: those that end or hang are started again, and none outlives the graph."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ssa_stream.errors import ConfigError, SsaStreamError
from ssa_stream.nodes.launcher import Graph
from ssa_stream.nodes.launcher.run_dir import RunDir
from ssa_stream.nodes.pipeline import PipelineConfig
from tests.support.checkout import ROOT
from tests.support.graphs import PATIENCE_S, Listener, is_alive, listing, running, watched
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("warm_python")]

_FAKE = ROOT / "tests" / "support" / "fake_node.py"
_HEALTH = {
    "heartbeat_s": 0.05,
    "heartbeat_timeout_s": 1.5,
    "start_timeout_s": 20.0,
    "backoff_s": 0.02,
    "backoff_max_s": 0.05,
    "max_restarts": 3,
}
Behaviours = dict[str, str | list[str]]


@pytest.fixture(autouse=True)
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary folder of its own, to see what a graph leaves there."""
    with tempfile.TemporaryDirectory(prefix="t") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


def _graph(behaviours: Behaviours, lines: list[str] | None = None, **options: Any) -> Graph:
    """A graph of nodes that behave; a list says how, by incarnation, its last entry for all further ones."""
    health = _HEALTH | options.pop("health", {})
    config = PipelineConfig.from_mapping(
        {
            "placement": "processes",
            "health": health,
            "public": {"publish": "tcp://127.0.0.1:*", "requests": "tcp://127.0.0.1:*"},
            "streams": {"cam0": {"source": "synthetic"}},
        }
    )

    def command(name: str, incarnation: int, run_dir: RunDir) -> list[str]:
        wanted = behaviours.get(name, "work")
        behaviour = wanted if isinstance(wanted, str) else wanted[min(incarnation, len(wanted) - 1)]
        return [sys.executable, str(_FAKE), name, str(incarnation), str(run_dir.path), behaviour]

    kept: list[str] = [] if lines is None else lines
    return Graph(config, command=command, on_line=kept.append, **options)


async def test_graph_ends_with_its_sources_and_leaves_nothing(temporary: Path) -> None:
    """When all sources have ended the graph ends by itself; its folder and processes are gone."""
    graph = _graph({"ingest-cam0": "ended"})
    pids: list[int | None] = []
    report = await graph.run(asyncio.Event(), lambda g: pids.extend(g.pid(n) for n in g.config.node_names))
    assert len(pids) == 5
    assert not any(pid is not None and is_alive(pid) for pid in pids)
    assert listing(temporary) == []
    assert (report.restarts, report.is_interrupted) == ({}, False)


async def test_graph_kept_goes_on_after_its_sources(temporary: Path) -> None:
    """With `keep` it waits to be stopped, and the report says that it was."""
    graph = _graph({"ingest-cam0": "ended"}, keep=True)
    async with watched(graph) as seen:
        await until(lambda: seen.listener.last_status("cam0") == "ended")
        await seen.ready()
    assert (await seen.ended()).is_interrupted
    assert listing(temporary) == []


@pytest.mark.parametrize("name", ["ingest-cam0", "encoder-0", "queries-0", "decoder-0", "masks-0"])
async def test_killed_node_is_started_again_and_told(name: str) -> None:
    """The node comes back as another process, and subscribers hear of its loss and its return."""
    graph = _graph({})
    async with running(graph):
        before = graph.pid(name)
        async with Listener(graph.publish_address) as listener:
            await until(lambda: bool(listener.packets))
            graph.kill(name)
            await until(lambda: listener.events(name) == ["node_lost", "node_restarted"])
        assert graph.report.restarts == {name: 1}
        assert graph.pid(name) not in (None, before)


async def test_stopped_process_is_noticed_and_replaced() -> None:
    """A process that stands still gives no signs of life: it is killed, though it cannot even be asked to end."""
    graph = _graph({})
    async with running(graph):
        before = graph.pid("decoder-0")
        assert before is not None
        os.kill(before, signal.SIGSTOP)
        await until(lambda: graph.report.restarts == {"decoder-0": 1} and graph.pid("decoder-0") not in (None, before))
        assert not is_alive(before)


async def test_endless_step_is_noticed_and_replaced() -> None:
    """A node that beats but does not get on with its work hangs, too."""
    graph = _graph({"queries-0": ["busy", "work"]}, health={"hang_timeout_s": 0.5})
    async with running(graph):
        await until(lambda: graph.report.restarts == {"queries-0": 1} and graph.pid("queries-0") is not None)


async def test_restart_storm_ends_the_graph_and_says_why(temporary: Path) -> None:
    """Node, count, window and the last reason are in the error; nothing is left."""
    graph = _graph({"encoder-0": "crash"})
    with pytest.raises(
        SsaStreamError,
        match=r"encoder-0 was lost 4 times within 60 s, more than health\.max_restarts \(3\) allows; "
        r"last: exit code 7: out of luck",
    ):
        await graph.run(asyncio.Event())
    assert graph.report.restarts == {"encoder-0": 3}
    assert listing(temporary) == []


@pytest.mark.parametrize(("behaviour", "kind"), [("refuse", ConfigError), ("fail", SsaStreamError)])
async def test_node_that_refuses_to_start_ends_the_graph_with_its_words(
    behaviour: str, kind: type[SsaStreamError], temporary: Path
) -> None:
    """It is not started again: it would refuse again. What it wrote is shown, and is the error."""
    lines: list[str] = []
    graph = _graph({"masks-0": behaviour}, lines)
    with pytest.raises(kind, match="masks-0 did not start: cannot read the weights"):
        await graph.run(asyncio.Event())
    assert graph.report.restarts == {}
    assert lines == ["masks-0: cannot read the weights"]
    assert listing(temporary) == []


async def test_crash_before_the_first_readiness_is_tried_again() -> None:
    """An accident at the start is not a verdict."""
    graph = _graph({"encoder-0": ["crash", "work"]})
    async with running(graph):
        await until(lambda: graph.report.restarts == {"encoder-0": 1} and graph.ready.is_set())


async def test_node_that_never_gets_ready_is_named(temporary: Path) -> None:
    """The error says who is missing, and what was heard of it."""
    graph = _graph({"queries-0": "silent", "masks-0": "silent"}, health={"start_timeout_s": 5.0})
    with pytest.raises(
        SsaStreamError,
        match=r"2 nodes were not ready within 5 s .*: masks-0: its process has not said hello; queries-0: its process",
    ):
        await graph.run(asyncio.Event())
    assert listing(temporary) == []


async def test_node_that_cannot_be_asked_to_end_is_killed() -> None:
    """Stopping takes no longer than its limit."""
    graph = _graph({"decoder-0": "stubborn"}, health={"stop_timeout_s": 0.5})
    async with running(graph):
        pid = graph.pid("decoder-0")
    assert pid is not None
    assert not is_alive(pid)


async def test_launcher_that_is_killed_takes_its_nodes_along(temporary: Path) -> None:
    """Nodes watch their parent; the next graph removes what the dead one left."""
    command = [sys.executable, "-E", "-c", _LAUNCHER, str(_FAKE)]  # the option asks for an interpreter without torch
    launcher = await asyncio.create_subprocess_exec(
        *command, stdout=subprocess.PIPE, env=os.environ | {"TMPDIR": str(temporary)}
    )
    assert launcher.stdout is not None
    async with asyncio.timeout(PATIENCE_S):
        pids = [int(pid) for pid in (await launcher.stdout.readline()).split()]
        assert len(pids) == 5
        launcher.kill()
        await launcher.wait()
    await until(lambda: not any(is_alive(pid) for pid in pids))
    assert listing(temporary) == [f"ssa-ssa-{launcher.pid}-{listing(temporary)[0][-4:]}"]
    await _graph({"ingest-cam0": "ended"}).run(asyncio.Event())
    assert listing(temporary) == []


_LAUNCHER = """
import asyncio, sys
from ssa_stream.nodes.launcher import Graph
from ssa_stream.nodes.pipeline import PipelineConfig
assert "torch" not in sys.modules
config = PipelineConfig.from_mapping({
    "placement": "processes",
    "public": {"publish": "tcp://127.0.0.1:*", "requests": "tcp://127.0.0.1:*"},
    "streams": {"cam0": {"source": "synthetic"}},
})
command = lambda name, incarnation, run_dir: [
    sys.executable, sys.argv[1], name, str(incarnation), str(run_dir.path), "work"]
show = lambda graph: print(*(graph.pid(name) for name in config.node_names), flush=True)
asyncio.run(Graph(config, command=command).run(asyncio.Event(), show))
"""


async def test_graph_stopped_while_it_starts_leaves_nothing(temporary: Path) -> None:
    """Ctrl-C does not wait until everything is ready."""
    graph = _graph({"encoder-0": "silent"})
    stop = asyncio.Event()
    task = asyncio.create_task(graph.run(stop))
    await asyncio.wait_for(graph.bound.wait(), PATIENCE_S)
    stop.set()
    report = await task
    assert (report.total_frames, report.is_interrupted) == (0, True)
    assert listing(temporary) == []
