"""Outputs of processes that were interrupted, killed or ran out of room."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from ssa_stream.sinks import read_json_lines
from ssa_stream.sources import FileSource
from tests.support.video_files import read_number

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("warm_python")]


def _numbers(path: Path) -> list[int]:
    with FileSource(path) as source:
        return [read_number(frame.image) for frame in source.frames()]


RECORD = """
import signal, sys
from ssa_stream.sinks import OverlayVideoSink
from ssa_stream.sources import Frame
from tests.support.video_files import numbered_image
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores Ctrl-C
with OverlayVideoSink(sys.argv[1], fps=10) as sink:
    for number in range(100_000):
        if number == 60:
            print("ready", flush=True)
        sink.write(Frame(numbered_image(number % 4096), number, 0, number / 10, t_receive_ns=0), [])
"""


@pytest.mark.parametrize("how", ["interrupt", "kill"])
def test_stopped_recording_is_playable(tmp_path: Path, how: str) -> None:
    """After Ctrl-C everything is there; after a kill, all but the last fraction of a second, under the other name."""
    path, growing = tmp_path / "a.mp4", tmp_path / "a.partial.mp4"
    process = subprocess.Popen(
        [sys.executable, "-c", RECORD, str(path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"ready\n"
        size = growing.stat().st_size
        deadline_s = time.monotonic() + 20
        while growing.stat().st_size == size and time.monotonic() < deadline_s:
            time.sleep(0.01)  # until the next fragment is on disk
        process.send_signal(2 if how == "interrupt" else 9)
        process.wait(20)
    finally:
        process.kill()
        process.communicate()
    assert [left.name for left in tmp_path.iterdir()] == [path.name if how == "interrupt" else growing.name]
    numbers = _numbers(path if how == "interrupt" else growing)
    assert len(numbers) >= 55
    assert numbers == [number % 4096 for number in range(len(numbers))]


LIMITED_VIDEO = """
import resource, signal, sys
import numpy as np
from ssa_stream.errors import SinkError
from ssa_stream.sinks import OverlayVideoSink
from ssa_stream.sources import Frame
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
noise = np.random.default_rng(0).integers(0, 255, (96, 96, 3), dtype=np.uint8)
with OverlayVideoSink(sys.argv[1], fps=10) as sink:
    for number in range(1000):
        try:
            sink.write(Frame(np.roll(noise, number, 0), number, 0, number / 10, t_receive_ns=0), [])
        except SinkError as error:
            print(error)
            break
"""


def test_full_disk_raises_one_error_and_keeps_what_was_written(tmp_path: Path) -> None:
    """Closing the broken file does not raise again; its beginning plays."""
    path = tmp_path / "a.mp4"
    done = subprocess.run(
        [sys.executable, "-c", LIMITED_VIDEO, str(path)], capture_output=True, text=True, check=True, timeout=60
    )
    kept = tmp_path / "a.partial.mp4"
    assert f"what was written so far is kept; look for {kept}" in done.stdout
    assert done.stdout.count("\n") == 1
    assert len(_numbers(kept)) > 5
    assert not path.exists()


LIMITED_LINES = """
import resource, signal, sys
from pathlib import Path
from ssa_stream.errors import SinkError
from ssa_stream.sinks import JsonLinesSink
from ssa_stream.streaming.results import MaskResult
from tests.support.scripted_source import numbered_frame
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
with JsonLinesSink(sys.argv[1]) as sink:
    for seq in range(100):
        try:
            sink.write(numbered_frame(seq), [MaskResult("p", "x", 1, seq, 0.0, (2, 2), (), 0.0)])
        except SinkError as error:
            print(seq, error)
            break
"""


def test_write_that_fails_midway_leaves_whole_lines(tmp_path: Path) -> None:
    """The part of a line that still fitted is taken back."""
    path = tmp_path / "a.jsonl"
    command = [sys.executable, "-c", LIMITED_LINES, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    written, message = done.stdout.split(" ", 1)
    kept = tmp_path / "a.partial.jsonl"
    assert "limit for one file" in message
    assert str(kept) in message
    assert kept.read_bytes().endswith(b"}\n")
    assert [record.seq for record in read_json_lines(kept)] == list(range(int(written)))
    assert int(written) > 1
