"""Files appear whole or not at all."""

import os
import stat
from pathlib import Path

import pytest

from ssa_stream.files import read_limited, replacing, write_report, write_whole


def test_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    """Until the end the former content is there, and nothing else is left in the folder."""
    path = tmp_path / "file"
    path.write_text("old")
    with replacing(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_failure_leaves_the_former_file_alone(tmp_path: Path) -> None:
    """Whatever it is, and no half of the new one."""
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(TypeError), replacing(path) as partial, partial.open("w") as file:
        file.writelines(["half of it", 0])  # type: ignore[list-item]
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_process_left_is_no_hindrance(tmp_path: Path) -> None:
    """Not even with the same process id."""
    path = tmp_path / "file"
    path.with_name(f".file.{os.getpid()}.partial").write_text("half of it")
    write_whole(path, "ä")
    assert path.read_bytes() == "ä".encode()
    assert list(tmp_path.iterdir()) == [path]


def test_secret_file_is_readable_for_its_owner_only_at_every_moment(tmp_path: Path) -> None:
    """Also where a file of that name was open for all, and where a writer sets permissions."""
    path = tmp_path / "secret"
    path.write_text("old")
    path.chmod(0o644)
    with replacing(path, mode=0o600) as partial:
        assert stat.S_IMODE(partial.stat().st_mode) == 0o600
        partial.chmod(0o644)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_umask_is_respected(tmp_path: Path) -> None:
    """As for any new file."""
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "file", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


@pytest.mark.parametrize("has_links", [True, False], ids=["hard_links", "no_hard_links"])
def test_new_file_never_takes_the_place_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool
) -> None:
    """Also where the file system has no hard links."""

    def refuse(*_: object) -> None:
        raise PermissionError("no hard links here")

    if not has_links:
        monkeypatch.setattr(os, "link", refuse)
    write_whole(tmp_path / "file", b"first", overwrite=False)
    with pytest.raises(FileExistsError):
        write_whole(tmp_path / "file", b"second", overwrite=False)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"first"]


def test_name_that_cannot_be_a_file_is_refused(tmp_path: Path) -> None:
    """With what is wrong about it."""
    with pytest.raises(OSError, match="it is a folder"):
        write_whole(tmp_path, b"")
    with pytest.raises(OSError, match="it has no folder to lie in"):
        write_whole(tmp_path / "nowhere" / "file", b"")


def test_report_is_written_as_a_whole(tmp_path: Path) -> None:
    """As any file."""
    write_report(tmp_path / "report.json", "{}")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("report.json", "{}")]
    with pytest.raises(OSError, match="it is a folder"):
        write_report(tmp_path, b"")


def test_report_goes_through_links_and_into_pipes(tmp_path: Path) -> None:
    """`/dev/stdout` and `/dev/null` stay what they are."""
    target, link, pipe = tmp_path / "file", tmp_path / "link", tmp_path / "pipe"
    target.write_text("old")
    link.symlink_to(target)
    write_report(link, b"new")
    assert (link.is_symlink(), target.read_text()) == (True, "new")
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_report(pipe, "come")
        assert os.read(reading, 10) == b"come"
    finally:
        os.close(reading)
    assert pipe.is_fifo()


def test_ordinary_file_is_read_whole(tmp_path: Path) -> None:
    """Up to the very limit."""
    path = tmp_path / "file"
    path.write_bytes(b"x" * 100)
    assert read_limited(path, most_bytes=100) == b"x" * 100
    with pytest.raises(OSError, match="more than 99 bytes"):
        read_limited(path, most_bytes=99)


def test_what_is_no_ordinary_file_is_refused_without_waiting(tmp_path: Path) -> None:
    """A pipe that nobody writes, an endless device, a folder, a link to itself, a file of a terabyte, no name."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "device").symlink_to("/dev/zero")
    with (tmp_path / "huge").open("wb") as huge:
        huge.truncate(2**40)
    for name, told in (
        ("pipe", "pipe or a device"),
        ("device", "pipe or a device"),
        (".", "folder"),
        ("loop", "symbolic links"),
        ("huge", "more than"),
        ("none", "No such file"),
        ("a\0b", "no file can have that name"),
        ("\ud800", "no file can have that name"),
        ("x" * 300, "too long"),
    ):
        with pytest.raises(OSError, match=told):
            read_limited(tmp_path / name, most_bytes=2**20)


def test_pipe_that_was_handed_over_open_is_read() -> None:
    """As a shell does it: `ssa-stream up <(make-pipeline)`."""
    reader, writer = os.pipe()
    try:
        os.write(writer, b"name: x")
        os.close(writer)
        assert read_limited(f"/dev/fd/{reader}", most_bytes=2**20) == b"name: x"
    finally:
        os.close(reader)


def test_text_that_utf8_cannot_hold_is_written_with_escapes(tmp_path: Path) -> None:
    """A report of hours is not lost for the name of a file."""
    write_whole(tmp_path / "file", 'caf\udce9 "ä"')
    assert (tmp_path / "file").read_text(encoding="utf-8") == 'caf\\udce9 "ä"'
