"""A file has its final name when it is complete, and nothing else ever suffers."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ssa_stream.errors import SinkError
from ssa_stream.files import claim, is_claimed
from ssa_stream.sinks.output_file import OutputFile
from ssa_stream.sinks.registry import finish_left_over
from tests.support.video_files import write_video


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_file_gets_its_name_at_the_end(tmp_path: Path) -> None:
    """Until then the former one is there."""
    path = tmp_path / "a.mp4"
    path.write_text("old")
    path.chmod(0o640)
    file = OutputFile(path)
    file.path.write_text("new")
    assert (_names(tmp_path), path.read_text()) == (["a.mp4", "a.partial.mp4"], "old")
    file.finish()
    file.finish()
    assert (_names(tmp_path), path.read_text()) == (["a.mp4"], "new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_discarded_file_leaves_the_former_one(tmp_path: Path) -> None:
    """A run that fails before its first frame."""
    path = tmp_path / "a.mp4"
    path.write_text("old")
    OutputFile(path).discard()
    assert (_names(tmp_path), path.read_text()) == (["a.mp4"], "old")


def test_existing_file_is_refused_if_it_may_not_be_replaced(tmp_path: Path) -> None:
    """At the beginning, and at the end if somebody made it meanwhile."""
    path = tmp_path / "a.jsonl"
    file = OutputFile(path, overwrite=False)
    file.path.write_text("new")
    path.write_text("somebody else's")
    with pytest.raises(SinkError, match=r"has been made meanwhile; what was written is kept in .*a\.partial\.jsonl"):
        file.finish()
    assert (path.read_text(), file.path.read_text()) == ("somebody else's", "new")
    with pytest.raises(SinkError, match="exists already"):
        OutputFile(path, overwrite=False)


def test_what_a_killed_run_left_is_replaced_if_that_is_allowed(tmp_path: Path) -> None:
    """It is empty again at once; it may also be a file that somebody called so."""
    (tmp_path / "a.partial.mp4").write_text("left over")
    with pytest.raises(SinkError, match=r"a\.partial\.mp4 is there, left by a killed process perhaps"):
        OutputFile(tmp_path / "a.mp4", overwrite=False)
    assert (tmp_path / "a.partial.mp4").read_text() == "left over"
    file = OutputFile(tmp_path / "a.mp4")
    assert file.path.read_bytes() == b""
    file.discard()
    assert _names(tmp_path) == []


def test_file_that_another_process_writes_is_refused(tmp_path: Path) -> None:
    """Two runs with one output; the second costs the first nothing."""
    first = OutputFile(tmp_path / "a.mp4")
    first.path.write_text("first")
    with pytest.raises(SinkError, match="another process is writing it"):
        OutputFile(tmp_path / "a.mp4")
    first.finish()
    assert (tmp_path / "a.mp4").read_text() == "first"


_CLAIM = """
import sys
from ssa_stream.files import claim
claimed = claim(sys.argv[1])
print(claimed is not None, flush=True)
sys.stdin.readline()
"""


@pytest.mark.parametrize("is_complete", [False, True])
def test_file_that_a_graph_has_claimed_is_refused_though_nobody_writes_it(tmp_path: Path, is_complete: bool) -> None:
    """Its node has died, or has finished it; the claim ends with who made it."""
    first = OutputFile(tmp_path / "a.mp4")
    first.path.write_text("first")
    command = [sys.executable, "-c", _CLAIM, str(first.path)]
    graph = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert graph.stdout is not None
        assert graph.stdout.readline() == "True\n"
        first.finish() if is_complete else first.leave()
        left = tmp_path / ("a.mp4" if is_complete else "a.partial.mp4")
        assert is_claimed(left)
        assert claim(left) is None
        with pytest.raises(SinkError, match="another process is writing it"):
            OutputFile(tmp_path / "a.mp4")
        assert (_names(tmp_path), left.read_text()) == ([left.name], "first")
        OutputFile(tmp_path / "a-2.mp4").discard()
    finally:
        graph.kill()
        graph.communicate()
    OutputFile(tmp_path / "a.mp4").discard()


def test_nothing_but_an_ordinary_file_is_claimed(tmp_path: Path) -> None:
    """Nor is it waited for."""
    os.mkfifo(tmp_path / "pipe")
    assert claim(tmp_path / "pipe") is None
    assert claim(tmp_path) is None
    assert claim(tmp_path / "none") is None
    assert not is_claimed(tmp_path / "none")


def test_links_are_followed_and_other_names_of_a_file_keep_it(tmp_path: Path) -> None:
    """The target of a link is replaced, in its own folder; a hard link goes on naming the former file."""
    (tmp_path / "sub").mkdir()
    target, link, hard = tmp_path / "sub" / "real.mp4", tmp_path / "link.mp4", tmp_path / "hard.mp4"
    target.write_text("old")
    link.symlink_to(target)
    os.link(target, hard)
    file = OutputFile(link)
    assert file.path == tmp_path / "sub" / "real.partial.mp4"
    file.path.write_text("new")
    file.finish()
    assert link.is_symlink()
    assert (target.read_text(), hard.read_text()) == ("new", "old")


def test_temporary_name_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    """A link of that name is not followed."""
    other = tmp_path / "precious"
    other.write_text("keep")
    (tmp_path / "a.partial.mp4").symlink_to(other)
    with pytest.raises(SinkError, match=r"cannot write .*a\.mp4"):
        OutputFile(tmp_path / "a.mp4")
    assert other.read_text() == "keep"


def test_file_that_was_moved_away_is_told(tmp_path: Path) -> None:
    """Nothing else is renamed in its place."""
    file = OutputFile(tmp_path / "a.mp4")
    file.path.rename(tmp_path / "moved.mp4")
    file.path.write_text("another")
    with pytest.raises(SinkError, match="cannot finish"):
        file.finish()
    assert _names(tmp_path) == ["a.partial.mp4", "moved.mp4"]


def test_pipe_is_written_straight(tmp_path: Path) -> None:
    """It is neither renamed nor removed."""
    os.mkfifo(tmp_path / "pipe.mp4")
    file = OutputFile(tmp_path / "pipe.mp4", overwrite=False)
    assert (file.is_stream, file.path) == (True, tmp_path / "pipe.mp4")
    file.finish()
    file.discard()
    assert (tmp_path / "pipe.mp4").is_fifo()


def test_left_over_file_is_finished_unless_it_is_in_use_or_empty(tmp_path: Path) -> None:
    """As a node does for the one before it that was killed."""
    path, partial = tmp_path / "a.jsonl", tmp_path / "a.partial.jsonl"
    file = OutputFile(path)
    partial.write_text("a line\n")
    assert not finish_left_over("a.jsonl", path, overwrite=True)
    file.leave()
    assert finish_left_over("a.jsonl", path, overwrite=False)
    assert path.read_text() == "a line\n"
    partial.write_text("more\n")
    assert not finish_left_over("a.jsonl", path, overwrite=False)
    assert (path.read_text(), partial.read_text()) == ("a line\n", "more\n")
    partial.write_text("no who")
    assert not finish_left_over("a.jsonl", path, overwrite=True)
    assert _names(tmp_path) == ["a.jsonl"]


def test_left_over_video_without_a_picture_is_removed(tmp_path: Path) -> None:
    """It would not play; one with a picture gets its name."""
    path, partial = tmp_path / "a.mp4", tmp_path / "a.partial.mp4"
    partial.write_bytes(b"\0" * 88)
    assert not finish_left_over("a.mp4", path, overwrite=True)
    assert _names(tmp_path) == []
    write_video(partial, 3)
    assert finish_left_over("a.mp4", path, overwrite=True)
    assert _names(tmp_path) == ["a.mp4"]
