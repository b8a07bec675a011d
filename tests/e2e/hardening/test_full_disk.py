"""A disk that gets full: the output on it ends, whole up to there and told; everything else goes on."""

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from ssa_stream.cli.options.summary import write_json
from ssa_stream.errors import CheckpointError, SinkError
from ssa_stream.nodes.health.metrics import exposition
from ssa_stream.nodes.runtime.transport.shared_ring import NoRoomError, SharedRing
from ssa_stream.protocols import Event
from ssa_stream.sinks import JsonLinesSink, OverlayVideoSink
from ssa_stream.sources import Frame
from ssa_stream.streaming.results import MaskResult
from ssa_stream.training import TrainConfig
from ssa_stream.training.loop.run_folder import RunFolder
from tests.support.command_line import CONSOLE_SCRIPT, run_command
from tests.support.graph_streams import Material, graph_of, make_material
from tests.support.graphs import watched
from tests.support.recordings import MODEL, mounted, picture_times, whole_lines, write_pipeline
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("warm_python")]

_KIB = 1024


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of its own, of 64 KiB."""
    with mounted(tmp_path / "small", 64) as folder:
        yield folder


def _fill(folder: Path, left: int = 0) -> Path:
    """Take all room but some bytes; the file that takes it."""
    filler = folder / "filler"
    with filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4 * _KIB)):
            pass
    with filler.open("ab") as file:
        file.truncate(max(0, filler.stat().st_size - left))
    return filler


def test_run_with_one_output_on_a_full_disk(tmp_path: Path, small: Path) -> None:
    """Exit status 1 at the end, every frame in the other output, and the summary says how much is in the one."""
    write_pipeline(tmp_path, {})
    _fill(small, 24 * _KIB)
    source = "synthetic@64x48,30fps,150frames"
    done = run_command(
        "run", source, "-p", "x", *MODEL, "-o", "small/m.jsonl", "-o", "whole.jsonl", "-o", "o.mp4", "--json", "r.json",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    lines = whole_lines(small / "m.partial.jsonl")
    assert 0 < len(lines) < 150
    assert (
        f"the disk is full: free some space or write elsewhere; what was written so far is kept; look for {small}"
        in (done.stderr.replace("\n", " "))
    )
    assert f"; {len(lines)} frames are in it" in done.stderr
    assert len(whole_lines(tmp_path / "whole.jsonl")) == len(picture_times(tmp_path / "o.mp4")) == 150
    assert list(json.loads((tmp_path / "r.json").read_text())["outputs_failed"]) == ["small/m.jsonl"]


LIMITED = """
import resource, sys
from ssa_stream.cli.entry import entry
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
sys.argv = ["ssa-stream", *sys.argv[1:]]
entry()
"""


def test_run_and_up_at_the_limit_for_a_file(tmp_path: Path) -> None:
    """The same without a file system of its own; of two streams one goes on to its end."""
    streams = {
        name: {"source": f"synthetic@64x48,30fps,{frames}frames", "prompts": ["x"], "outputs": [f"{name}.jsonl"]}
        for name, frames in (("long", 200), ("short", 20))
    }
    path = write_pipeline(tmp_path, streams)
    done = run_command("-c", LIMITED, "up", path, "--json", "r.json", cwd=tmp_path, program=[_python()])
    assert done.returncode == 1, done.stderr
    assert "output of stream long ended: cannot write long.jsonl: the file would grow past the limit" in done.stderr
    lines = whole_lines(tmp_path / "long.partial.jsonl")
    assert 0 < len(lines) < 200
    assert f"; {len(lines)} frames are in it" in done.stderr.replace("\n", " ")
    assert len(whole_lines(tmp_path / "short.jsonl")) == 20
    report = json.loads((tmp_path / "r.json").read_text())
    assert list(report["outputs_failed"]) == ["long"]
    assert report["frames"] == {"long": 200, "short": 20}  # masks are published all the same


def _python() -> str:
    return str(CONSOLE_SCRIPT.with_name("python"))


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    """Weights and 200 pictures."""
    return make_material(tmp_path_factory.mktemp("stream"), num_frames=200)


@pytest.mark.parametrize("placement", ["fused", "processes"])
async def test_graph_tells_at_once_and_goes_on(material: Material, placement: str, tmp_path: Path, small: Path) -> None:
    """An event, a counter, not ready; a restart of the node in between ends nothing, and room later changes nothing."""
    outputs = [str(small / "m.jsonl"), str(tmp_path / "o.mp4")]
    streams = {"cam0": {"prompts": ["a dog"], "outputs": outputs}, "cam1": {"prompts": ["a cat"]}}
    graph = graph_of(material, placement, streams, keep=True)
    async with watched(graph) as seen:
        await seen.frames(5)
        filler = _fill(small)

        def events() -> list[Event]:
            return [event for event in seen.listener.messages(Event) if event.kind == "output_failed"]

        await until(lambda: events())
        event = events()[0]
        assert (event.stream, event.node, event.severity) == ("cam0", "masks-0", "error")
        assert "m.jsonl: the disk is full" in event.text

        def reasons() -> str:
            view = graph.health()
            return "" if view is None else " ".join(view.ready().reasons)

        await until(lambda: "an output of stream cam0 has ended: cannot write" in reasons())
        await until(lambda: b'count_outputs_failed_total{node="masks-0",stream="cam0"} 1.0' in _metrics(graph))
        filler.unlink()
        before = len(seen.listener.indices("cam0"))
        await until(lambda: len(seen.listener.indices("cam0")) >= min(before + 20, material.num_frames))
        assert "has ended" in reasons()  # a file with a gap would look whole
        if placement == "processes":
            _fill(small)
            graph.kill("masks-0")
        await until(lambda: seen.listener.last_status("cam0") == seen.listener.last_status("cam1") == "ended")
    report = await seen.ended()
    assert report.frames == {"cam0": material.num_frames, "cam1": material.num_frames}
    assert list(report.outputs_failed) == ["cam0"]
    lines = whole_lines(small / "m.partial.jsonl") if placement == "fused" else whole_lines(small / "m.jsonl")
    assert [line["index"] for line in lines] == list(range(len(lines)))
    assert f"; {len(lines)} frames are in it" in report.outputs_failed["cam0"][0]


def _metrics(graph: object) -> bytes:
    view = graph.health()  # type: ignore[attr-defined]  # a Graph
    return b"" if view is None else exposition(view)


def test_disk_that_is_full_at_any_byte_leaves_a_video_that_plays(small: Path) -> None:
    """While writing or while finishing: what is counted as in the file is in it."""
    picture = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    failed = 0
    for left in range(4 * _KIB, 48 * _KIB, 4 * _KIB):
        filler = _fill(small, left)
        sink = OverlayVideoSink(small / "o.mp4", fps=10)
        try:
            for number in range(12):
                sink.write(Frame(np.roll(picture, number, 0), number, 0, number / 10, t_receive_ns=0), [])
            sink.close()
        except SinkError as error:
            failed += "disk is full" in str(error)
            sink.close()
        name = "o.mp4" if (small / "o.mp4").exists() else "o.partial.mp4"
        played = len(picture_times(small / name)) if (small / name).exists() else 0
        assert played >= sink.frames_in_file, f"with {left} bytes"
        assert name == "o.partial.mp4" or played == 12
        for path in (small / name, filler):
            path.unlink(missing_ok=True)
    assert 3 <= failed < 11


def test_file_removed_under_a_sink_is_told_before_the_end(tmp_path: Path) -> None:
    """Nothing more can be kept of it."""
    sink = JsonLinesSink(tmp_path / "m.jsonl")
    frame = Frame(np.zeros((2, 2, 3), np.uint8), 0, 0, 0.0, t_receive_ns=0)
    result = MaskResult("p", "x", 1, 0, 0.0, (2, 2), (), 0.0)
    sink.write(frame, [result])
    (tmp_path / "m.partial.jsonl").unlink()

    def write_on() -> None:
        for _ in range(10**9):
            sink.write(frame, [result])

    with pytest.raises(SinkError, match="somebody has removed it"):
        write_on()
    sink.close()


def test_report_that_cannot_be_written_is_printed(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Hours of work end with it."""
    _fill(small)
    with pytest.raises(SinkError, match="its content is printed above"):
        write_json({"fps": 12.5}, str(small / "r.json"), overwrite=False)
    assert '"fps": 12.5' in capsys.readouterr().err
    assert [path.name for path in small.iterdir()] == ["filler"]


def test_ring_on_full_shared_memory_is_an_error_and_no_signal(small: Path) -> None:
    """Memory is taken when a slot is made; writing to it later cannot fail, which would end the process."""
    ring = SharedRing("ssa-test-", 2**24, folder=small, free=lambda folder: 2**40)
    with pytest.raises(NoRoomError):
        ring.take(2**20, "cam0", 0)
    assert list(small.iterdir()) == []
    ring.close()


def test_training_state_on_a_full_disk_keeps_the_last_one(small: Path) -> None:
    """A run goes on from there."""
    config = TrainConfig.from_mapping(_smoke())
    folder = RunFolder(small)
    empty = {"stage": 0, "best": 0.0, "model": {}, "optimizer": None, "extra": None, "ema": {}, "precision": {}}
    folder.save_state(config, {**empty, "step": 1})
    _fill(small)
    with pytest.raises(CheckpointError, match="go on from the last state"):
        folder.save_state(config, {**empty, "step": 2, "model": {"weights": torch.zeros(100_000)}})
    assert folder.load_state(config)["step"] == 1


def _smoke() -> object:
    from ssa_stream.configs import load_config

    return load_config("train", "smoke")


def test_reader_of_a_pipe_that_goes_ends_that_output_alone(tmp_path: Path) -> None:
    """The other output has everything, and the exit status says that something is missing."""
    write_pipeline(tmp_path, {})
    source = "synthetic@64x48,30fps,60frames"
    command = [CONSOLE_SCRIPT, "run", source, "-p", "x", *MODEL, "-q", "-o", "-", "-o", "o.mp4"]
    with subprocess.Popen(
        [str(part) for part in command], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        said = process.stderr.read().decode()
    assert process.returncode == 1
    assert "whoever read it has gone" in said
    with av.open(str(tmp_path / "o.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 60
