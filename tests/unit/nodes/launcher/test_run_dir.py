"""The folder of a run: private, short, gone with its graph, and removed for a launcher that was killed."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ssa_stream.errors import ConfigError, TransportError
from ssa_stream.nodes.launcher.run_dir import RunDir, remove_leftovers
from ssa_stream.nodes.pipeline import PipelineConfig, StreamSection


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Stands for the system's temporary folder. Its path is short, as sockets need it."""
    with tempfile.TemporaryDirectory(prefix="t") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


def _config(stream: str = "cam0") -> PipelineConfig:
    return PipelineConfig(name="lab", streams={stream: StreamSection(source="synthetic")})


def _dead_pid() -> int:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def test_run_dir_is_private_and_removed(temporary: Path) -> None:
    """Only its owner can look in; at the end folder, files and shared memory are gone."""
    removed: list[str] = []
    run_dir = RunDir(_config(), removed.append)
    run_dir.make()
    assert run_dir.path.parent == temporary
    assert run_dir.path.stat().st_mode & 0o777 == 0o700
    (run_dir.path / "masks-0.sock").touch()
    run_dir.remove()
    run_dir.remove()
    assert not run_dir.path.exists()
    assert removed[0] == f"{run_dir.path.name}-"


def test_run_dir_of_two_graphs_of_one_name_differ(temporary: Path) -> None:
    """Two graphs of one pipeline never share sockets or shared memory."""
    assert RunDir(_config(), print).path != RunDir(_config(), print).path


def test_run_dir_too_long_for_sockets_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says how long a path may be, and what to shorten."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("x" * 60)))
    with pytest.raises(ConfigError, match=r"has a path of \d+ bytes; at most 103 are possible: shorten"):
        RunDir(_config("s" * 32), print)


def test_run_dir_in_missing_folder_is_an_error(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no folder can be made, the user is told what to set."""
    monkeypatch.setattr(tempfile, "tempdir", str(temporary / "no"))
    with pytest.raises(TransportError, match=r"cannot create the folder .*set TMPDIR"):
        RunDir(_config(), print).make()


def test_leftovers_of_dead_launchers_are_removed_and_nothing_else(temporary: Path) -> None:
    """What belongs to a running launcher, or is no run's folder, stays."""
    dead = temporary / f"ssa-lab-{_dead_pid()}-0a1b"
    alive = temporary / f"ssa-lab-{os.getpid()}-0a1b"
    other = temporary / "ssa-notes"
    for folder in (dead, alive, other):
        folder.mkdir()
    (dead / "decoder-0.sock").touch()
    link = temporary / f"ssa-lab-{_dead_pid()}-ffff"
    link.symlink_to(other)
    removed: list[str] = []
    assert remove_leftovers(removed.append) == ["lab"]
    assert sorted(path.name for path in temporary.iterdir()) == sorted([alive.name, other.name, link.name])
    assert removed == [f"{dead.name}-"]
