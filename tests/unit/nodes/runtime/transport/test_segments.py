"""Files of shared memory: names, rights, removal."""

import os
import stat
from pathlib import Path

import pytest

from ssa_stream.errors import MessageError
from ssa_stream.nodes.runtime.transport.segments import (
    HEADER_BYTES,
    Segment,
    memory_folder,
    remove_segments,
    segment_prefix,
)


def test_segment_is_for_its_owner_only(tmp_path: Path) -> None:
    """Pictures of a camera are nobody else's business."""
    segment = Segment.create(tmp_path / "ssa-a", 100)
    assert stat.S_IMODE(segment.path.stat().st_mode) == 0o600
    assert segment.path.stat().st_size == HEADER_BYTES + 100


def test_segment_that_exists_is_not_taken_over(tmp_path: Path) -> None:
    """It may be another's."""
    Segment.create(tmp_path / "ssa-a", 100)
    with pytest.raises(FileExistsError):
        Segment.create(tmp_path / "ssa-a", 100)


def test_segment_bytes_are_seen_by_both_sides(tmp_path: Path) -> None:
    """It is one memory; words and content do not overlap."""
    ours = Segment.create(tmp_path / "ssa-a", 256)
    theirs = Segment.open(tmp_path, "ssa-a")
    ours.generation = 7
    ours.view(0, 256)[:] = b"\xff" * 256
    assert (theirs.generation, theirs.released, theirs.capacity) == (7, 0, 256)
    assert bytes(theirs.view(64, 3)) == b"\xff\xff\xff"
    theirs.release(7)
    assert ours.released == 7


def test_segment_release_of_an_older_content_changes_nothing(tmp_path: Path) -> None:
    """A reader that wakes up late does not give away what another reads."""
    segment = Segment.create(tmp_path / "ssa-a", 256)
    segment.generation = 8
    segment.release(7)
    assert segment.released == 0


def test_segment_removed_while_mapped_stays_readable(tmp_path: Path) -> None:
    """The memory goes with its last user."""
    ours = Segment.create(tmp_path / "ssa-a", 256)
    theirs = Segment.open(tmp_path, "ssa-a")
    assert theirs.is_listed()
    ours.view(0, 1)[:] = b"x"
    ours.remove()
    ours.remove()
    assert not theirs.is_listed()
    assert bytes(theirs.view(0, 1)) == b"x"


@pytest.mark.parametrize(
    "name", ["", "ssa-", "other", "ssa-../etc", "ssa-a/b", "ssa-a\0", "ssa-" + "a" * 300], ids=repr
)
def test_segment_with_a_foreign_name_is_refused(tmp_path: Path, name: str) -> None:
    """A message cannot name any file."""
    with pytest.raises(MessageError, match="not a name of ours"):
        Segment.open(tmp_path, name)


def test_segment_that_is_gone_or_foreign_is_refused(tmp_path: Path) -> None:
    """With what is wrong about it."""
    with pytest.raises(MessageError, match="its sender may have ended"):
        Segment.open(tmp_path, "ssa-gone")
    (tmp_path / "ssa-short").write_bytes(b"x" * 10)
    with pytest.raises(MessageError, match="has 10 bytes"):
        Segment.open(tmp_path, "ssa-short")
    (tmp_path / "ssa-text").write_bytes(b"x" * 1000)
    with pytest.raises(MessageError, match="begins with other bytes"):
        Segment.open(tmp_path, "ssa-text")
    os.symlink("ssa-text", tmp_path / "ssa-link")
    with pytest.raises(MessageError, match="cannot be opened"):
        Segment.open(tmp_path, "ssa-link")


def test_segments_are_removed_by_graph_or_node(tmp_path: Path) -> None:
    """Node `ingest-cam` and node `ingest-cam-1` are two; other files stay."""
    prefix = segment_prefix(Path("/run/ssa-demo-77"))
    assert prefix == "ssa-demo-77-"
    names = ["ingest-cam-0-0", "ingest-cam-12-3", "ingest-cam-1-0-0", "encoder-0-0-0"]
    for name in names:
        (tmp_path / f"{prefix}{name}").touch()
    (tmp_path / "ssa-demo-78-encoder-0-0-0").touch()
    assert remove_segments(prefix, node="ingest-cam", folder=tmp_path) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "ssa-demo-77-encoder-0-0-0",
        "ssa-demo-77-ingest-cam-1-0-0",
        "ssa-demo-78-encoder-0-0-0",
    ]
    assert remove_segments(prefix, folder=tmp_path) == 2
    assert remove_segments(prefix, folder=tmp_path) == 0


def test_memory_folder_is_there() -> None:
    """And can be written to."""
    assert os.access(memory_folder(), os.W_OK)
