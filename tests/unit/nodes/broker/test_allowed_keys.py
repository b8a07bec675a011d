"""Who may connect, while the folder of keys changes, cannot be read, or holds odd things."""

import errno
import os
from pathlib import Path

import pytest

from ssa_stream.keys import AllowedKey, ClientKeys, ServerKeys, add_client, make_keys
from ssa_stream.nodes.broker.allowed_keys import AllowedKeys
from ssa_stream.nodes.broker.counters import Counters
from ssa_stream.nodes.runtime.descriptors import DescriptorReserve


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Keys of a graph with the clients `robot` and `desk`."""
    make_keys(tmp_path)
    add_client(tmp_path, "robot")
    add_client(tmp_path, "desk")
    return tmp_path


def _key(folder: Path, name: str) -> bytes:
    """The public key of a client."""
    return ClientKeys.load(folder / "clients" / name).public


def _no_descriptors(_: ServerKeys) -> dict[bytes, AllowedKey]:
    """What reading the folder does when there are none."""
    raise OSError(errno.EMFILE, "Too many open files")


def test_last_reading_counts_while_there_are_no_descriptors(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """But not for a client that was removed meanwhile; a new one has to wait."""
    counters = Counters()
    allowed = AllowedKeys(ServerKeys.load(folder), counters, DescriptorReserve())
    assert allowed.name_of(_key(folder, "robot")) == "robot"
    late = ClientKeys.load(add_client(folder, "late")).public
    with monkeypatch.context() as patch:
        patch.setattr(ServerKeys, "read_allowed", _no_descriptors)
        (folder / "allowed/desk.key").unlink()
        assert allowed.name_of(_key(folder, "robot")) == "robot"
        assert allowed.name_of(_key(folder, "desk")) is None
        assert allowed.name_of(late) is None
        assert counters["keys_unread"] == 2
    assert allowed.name_of(late) == "late"
    assert allowed.name_of(_key(folder, "desk")) is None


def test_odd_things_in_the_folder_allow_nobody_and_end_nothing(folder: Path) -> None:
    """A folder, a FIFO, which nobody writes to, an endless file, a huge one, bytes that are no text, a broken link."""
    odd = folder / "allowed"
    (odd / "folder.key").mkdir()
    os.mkfifo(odd / "fifo.key")
    (odd / "endless.key").symlink_to("/dev/zero")
    (odd / "nowhere.key").symlink_to(odd / "nothing")
    (odd / "loop.key").symlink_to(odd / "loop.key")
    (odd / "bytes.key").write_bytes(b'public-key = "\xff\xfe"')
    with (odd / "huge.key").open("wb") as file:
        file.truncate(2**32)
    (folder / b"allowed/\xff.key".decode(errors="surrogateescape")).write_text("nothing")
    allowed = AllowedKeys(ServerKeys.load(folder), Counters(), DescriptorReserve())
    assert allowed.name_of(_key(folder, "robot")) == "robot"
    assert allowed.name_of(b"x" * 40) is None


def test_key_that_is_replaced_in_its_file_counts_no_more(folder: Path) -> None:
    """The file has the same name and length."""
    allowed = AllowedKeys(ServerKeys.load(folder), Counters(), DescriptorReserve())
    robot, path = _key(folder, "robot"), folder / "allowed/robot.key"
    assert allowed.name_of(robot) == "robot"
    other = ClientKeys.make(robot).public
    path.write_text(path.read_text().replace(robot.decode(), other.decode()))
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    assert allowed.name_of(robot) is None
    assert allowed.name_of(other) == "robot"
