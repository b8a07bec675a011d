"""Files of states over restarts, and times of outputs."""

from pathlib import Path

import msgspec
import pytest

from ssa_stream.nodes.masks.outputs import frame_times
from ssa_stream.nodes.runtime.state_files import StateFiles, run_folder
from ssa_stream.protocols import StageTime
from tests.support.frame_works import frame


def test_state_is_replaced_as_a_whole(tmp_path: Path) -> None:
    """Nothing else is left in the folder, which is made when needed."""
    files = StateFiles(tmp_path / "states", "decoder")
    assert files.read("cam0") is None
    files.write("cam0", b"one")
    files.write("cam0", b"two")
    files.write("cam1", b"other")
    assert files.read("cam0") == b"two"
    assert len(list((tmp_path / "states").iterdir())) == 2


def test_state_that_cannot_be_written_leaves_the_former(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And no half of the new one."""
    files = StateFiles(tmp_path, "decoder")
    files.write("cam0", b"one")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        files.write("cam0", b"two")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"one"]


def test_run_folder_is_that_of_the_sockets() -> None:
    """Nodes of one process have none."""
    assert run_folder("ipc:///run/ssa-1/masks-0.sock") == Path("/run/ssa-1")
    assert run_folder("inproc://graph-masks-0") is None


def test_times_of_a_file_count_from_the_first_work_on_a_frame() -> None:
    """Those of a camera from when the picture was taken."""
    stages = [
        StageTime(role=role, node=f"{role}-0", clock="monotonic:test", received_ns=0, begin_ns=begin, end_ns=end)
        for role, begin, end in (("ingest", 0, 5), ("encoder", 10, 2_000_010), ("queries", 20, 3_000_020))
    ]
    shown = frame(0, t_receive_ns=7, t_capture_ns=3, capture_clock="monotonic:test")
    of_file = frame_times(shown, stages, emitted_ns=99)
    assert (of_file.captured_at_ns, of_file.received_at_ns, of_file.model_ms) == (None, 10, 5.0)
    of_camera = frame_times(msgspec.structs.replace(shown, live=True), stages, emitted_ns=99)
    assert (of_camera.captured_at_ns, of_camera.received_at_ns, of_camera.emitted_at_ns) == (3, 7, 99)
