"""A node as a process: it says hello, works until it is asked to end, and tells by its exit code why it ended."""

import contextlib
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from ssa_stream.nodes.pipeline import PipelineConfig, save_pipeline
from ssa_stream.nodes.runtime.metrics import NodeMetrics
from ssa_stream.nodes.runtime.transport.segments import memory_folder, segment_prefix
from ssa_stream.protocols import ErrorReply, Heartbeat, Hello, Limits, Welcome, decode, encode

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("warm_python")]

PATIENCE_S = 60.0
WORKS = """
import asyncio, gc, numpy as np
from ssa_stream.nodes.runtime.main import node_main
from ssa_stream.nodes.runtime.transport.payload import OutgoingPayload
from ssa_stream.protocols import FrameIdentity, PictureMessage

async def run(node):
    inlet, outlet = node.inlet(), node.transport.outlet(["queries-0"])
    payload, clock = OutgoingPayload(), node.clock
    frame = FrameIdentity(stream="cam0", epoch=0, seq=0, index=0, t=0.0, t_receive_ns=0, receive_clock=clock.name)
    image = payload.add_array(np.zeros((400, 400, 3), np.uint8))
    await outlet.send(PictureMessage(frame=frame, image=image), payload, timeout_s=0.01)  # makes shared memory
    before = gc.get_freeze_count()
    node.broker.mark_ready()
    assert gc.get_freeze_count() > before, "what lives as long as the node is not looked through again and again"
    await node.stop.wait()
    END

node_main(run)
"""


@pytest.fixture
def run_dir() -> Iterator[Path]:
    """With two pipelines: a patient one, and one whose broker counts as silent after a second."""
    with tempfile.TemporaryDirectory(prefix="ssa-t") as name:
        for file, timeout_s in (("pipeline.yaml", PATIENCE_S), ("impatient.yaml", 1.0)):
            health = {"heartbeat_timeout_s": timeout_s, "heartbeat_s": 0.05}
            settings = PipelineConfig.from_mapping(
                {"streams": {"cam0": {"source": "0"}}, "health": health, "model": {"device": "cpu"}}
            )
            save_pipeline(settings, Path(name) / file)
        yield Path(name)


def _start(code: str, run_dir: Path, pipeline: str = "pipeline.yaml") -> subprocess.Popen[str]:
    options = ["--pipeline", str(run_dir / pipeline), "--name", "encoder-0", "--run-dir", str(run_dir)]
    return subprocess.Popen([sys.executable, "-c", code, *options], stderr=subprocess.PIPE, text=True)


@contextlib.contextmanager
def _ready(
    code: str, run_dir: Path, pipeline: str = "pipeline.yaml"
) -> Iterator[tuple[subprocess.Popen[str], zmq.Socket[bytes]]]:
    """A node that was let in and says that it is ready."""
    with zmq.Context() as context, context.socket(zmq.ROUTER) as broker, _start(code, run_dir, pipeline) as node:
        broker.linger = 0
        broker.bind(f"ipc://{run_dir}/control.sock")
        try:
            _let_in(broker)
            yield node, broker
        finally:
            node.kill()


def _let_in(broker: zmq.Socket[bytes]) -> None:
    metrics, deadline_s = NodeMetrics("control", "control"), time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline_s:
        if broker.poll(50):
            identity, *parts = broker.recv_multipart()
            match decode(parts, Limits()).message:
                case Hello(request_id=request_id):
                    welcome = Welcome(
                        request_id=request_id, node="control", role="control", incarnation=0, version=(1, 0)
                    )
                    broker.send_multipart([identity, *encode(welcome)])
                case Heartbeat(ready=True):
                    return
            broker.send_multipart([identity, *encode(metrics.heartbeat(ready=True))])
    pytest.fail("the node did not get ready")


def _left(run_dir: Path) -> list[str]:
    memory = [path.name for path in memory_folder().glob(f"{segment_prefix(run_dir)}*")]
    return memory + [path.name for path in run_dir.iterdir() if path.suffix != ".yaml" and path.name != "control.sock"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_node_asked_to_end_leaves_nothing(run_dir: Path, number: signal.Signals) -> None:
    """Exit code 0, no socket, no shared memory, nothing on stderr."""
    with _ready(WORKS.replace("END", "pass"), run_dir) as (node, _):
        assert len(_left(run_dir)) == 2
        node.send_signal(number)
        assert node.communicate(timeout=PATIENCE_S)[1] == ""
        assert node.returncode == 0
    assert _left(run_dir) == []


def test_node_whose_broker_is_silent_waits_while_its_parent_is_there(run_dir: Path) -> None:
    """The launcher was stopped for a while; the node goes on with it, and ends in order."""
    with _ready(WORKS.replace("END", "pass"), run_dir, "impatient.yaml") as (node, broker):
        assert node.stderr is not None
        assert "the broker is silent, but its process is there" in node.stderr.readline()
        beat = NodeMetrics("control", "control").heartbeat(ready=True)
        broker.send_multipart([b"encoder-0", *encode(beat)])
        assert "the broker is back" in node.stderr.readline()
        node.send_signal(signal.SIGTERM)
        node.communicate(timeout=PATIENCE_S)
        assert node.returncode == 0
    assert _left(run_dir) == []


ENDS = {
    "error of ours": ("from ssa_stream.errors import SourceError; raise SourceError('no picture')", 1, "no picture"),
    "wrong setting": (
        "from ssa_stream.errors import ConfigError; raise ConfigError('no such thing')",
        2,
        "no such thing",
    ),
    "stage of another role": (
        "(await node.executor.run(node.load_model)).decode_window(None, None)",
        1,
        "this network holds only the parts: 'encoder'; video_decoder belongs to the part 'decoder': load that too, or "
        "the whole network",
    ),
}


@pytest.mark.parametrize(("end", "code", "text"), ENDS.values(), ids=ENDS)
def test_node_that_fails_says_why_in_one_line(run_dir: Path, end: str, code: int, text: str) -> None:
    """Also from within a group of tasks."""
    source = WORKS.replace(
        "await node.stop.wait()\n    END", f"async with asyncio.TaskGroup() as group:\n        {end}"
    )
    with _ready(source, run_dir) as (node, _):
        said = node.communicate(timeout=PATIENCE_S)[1].splitlines()
        assert [line for line in said if 'event="engine taken"' not in line] == [f"encoder-0: {text}"]
        assert node.returncode == code
    assert _left(run_dir) == []


def test_node_with_a_bug_shows_where(run_dir: Path) -> None:
    """An error that nobody foresaw keeps its traceback; clean-up is done all the same."""
    with _ready(WORKS.replace("await node.stop.wait()\n    END", "1 // 0"), run_dir) as (node, _):
        said = node.communicate(timeout=PATIENCE_S)[1]
        assert node.returncode == 1
        assert "ZeroDivisionError" in said
        assert "in run" in said
    assert _left(run_dir) == []


def test_node_without_its_pipeline_is_set_up_wrongly(run_dir: Path) -> None:
    """Exit code 2 before anything is opened."""
    with _start(WORKS, run_dir, "gone.yaml") as node:
        said = node.communicate(timeout=PATIENCE_S)[1]
    assert node.returncode == 2
    assert said.startswith("encoder-0: ")
    assert len(said.splitlines()) == 1


def test_node_refused_by_the_broker_says_the_reason(run_dir: Path) -> None:
    """Such as a twin of it."""
    with zmq.Context() as context, context.socket(zmq.ROUTER) as broker, _start(WORKS, run_dir) as node:
        broker.linger = 0
        broker.bind(f"ipc://{run_dir}/control.sock")
        assert broker.poll(int(PATIENCE_S * 1e3))
        identity, *parts = broker.recv_multipart()
        hello = decode(parts, Limits()).message
        assert isinstance(hello, Hello)
        reply = ErrorReply(code="busy", text="encoder-0 is there already", request_id=hello.request_id)
        broker.send_multipart([identity, *encode(reply)])
        said = node.communicate(timeout=PATIENCE_S)[1]
    assert (node.returncode, said) == (
        1,
        "encoder-0: the broker refuses node encoder-0 (busy): encoder-0 is there already\n",
    )
