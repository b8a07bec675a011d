"""Key files: made for their owners only, never overwritten, read with errors that say what to do."""

import errno
import stat
from pathlib import Path
from typing import Any

import pytest
import zmq.auth

from ssa_stream import keys
from ssa_stream.errors import ConfigError
from ssa_stream.files import write_whole
from ssa_stream.keys import ClientKeys, ServerKeys, add_client, client_keys, make_keys


def test_client_that_was_added_is_allowed_and_knows_the_graph(keys_folder: Path) -> None:
    """Both sides read what was made; secrets differ."""
    server, client = ServerKeys.load(keys_folder), ClientKeys.load(keys_folder / "clients/robot")
    assert client.server == server.public
    assert server.allowed() == {client.public: "robot"}
    assert len({server.public, server.secret, client.public, client.secret}) == 4


def test_secret_files_are_for_their_owner_only(keys_folder: Path) -> None:
    """Whatever the umask is."""
    secrets = [path for path in keys_folder.rglob("*") if path.name.endswith("_secret")]
    assert sorted(path.name for path in secrets) == ["client.key_secret", "server.key_secret"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets} == {0o600}


def test_secrets_are_not_shown(keys_folder: Path) -> None:
    """Not in logs, not in tracebacks."""
    server, client = ServerKeys.load(keys_folder), ClientKeys.load(keys_folder / "clients/robot")
    assert server.secret.decode() not in repr(server)
    assert client.secret.decode() not in repr(client)


def test_files_are_those_of_zmq_auth(keys_folder: Path) -> None:
    """Other programs that use ZeroMQ can read them."""
    client = ClientKeys.load(keys_folder / "clients/robot")
    loaded = zmq.auth.load_certificate(keys_folder / "clients/robot/client.key_secret")
    assert loaded == (client.public, client.secret)
    assert zmq.auth.load_certificates(keys_folder / "allowed") == {client.public: True}


def test_keys_are_never_overwritten(keys_folder: Path) -> None:
    """Neither the graph's nor a client's; what is there stays as it was."""
    before = {path: path.read_bytes() for path in keys_folder.rglob("*") if path.is_file()}
    with pytest.raises(ConfigError, match="not overwritten"):
        make_keys(keys_folder)
    with pytest.raises(ConfigError, match="client 'robot' has keys already; choose another name"):
        add_client(keys_folder, "robot")
    assert {path: path.read_bytes() for path in keys_folder.rglob("*") if path.is_file()} == before


def test_client_whose_public_key_is_removed_is_not_allowed_any_more(keys_folder: Path) -> None:
    """The folder is read anew each time; a file without a key in it allows nobody and breaks nothing."""
    server = ServerKeys.load(keys_folder)
    add_client(keys_folder, "second")
    (keys_folder / "allowed/robot.key").unlink()
    (keys_folder / "allowed/broken.key").write_text("no key\n")
    assert list(server.allowed().values()) == ["second"]


@pytest.mark.parametrize("name", ["", "a/b", "../up", "x" * 33, "-x"])
def test_name_that_is_no_file_name_is_refused(keys_folder: Path, name: str) -> None:
    """It would lie elsewhere."""
    with pytest.raises(ConfigError, match="expected 1 to 32 letters"):
        add_client(keys_folder, name)


def test_wrong_folders_are_refused_with_what_is_missing(keys_folder: Path, tmp_path: Path) -> None:
    """Each error says how to get one."""
    with pytest.raises(ConfigError, match=r"not the folder of a graph.*ssa-stream keys init"):
        ServerKeys.load(tmp_path)
    with pytest.raises(ConfigError, match=r"not the folder of a client: it has no client\.key_secret"):
        client_keys(keys_folder)
    (keys_folder / "clients/robot/server.key").write_text('public-key = "short"\n')
    with pytest.raises(ConfigError, match="not 40 characters"):
        client_keys(keys_folder / "clients/robot")
    (keys_folder / "clients/robot/client.key_secret").write_text("nothing\n")
    with pytest.raises(ConfigError, match="is no key file"):
        client_keys(str(keys_folder / "clients/robot"))


def test_keys_or_none_are_taken_as_they_are(keys_folder: Path) -> None:
    """What a caller has loaded already."""
    keys = ClientKeys.load(keys_folder / "clients/robot")
    assert client_keys(keys) is keys
    assert client_keys(None) is None


@pytest.mark.parametrize("room_for", [0, 1])
@pytest.mark.parametrize("is_there", [False, True])
def test_full_disk_leaves_no_folder_that_was_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room_for: int, is_there: bool
) -> None:
    """Nor half of the keys, which the next attempt would take for all."""
    folder = tmp_path / "new" / "keys"
    if is_there:
        folder.mkdir(parents=True)
    _fill_disk(monkeypatch, room_for)
    with pytest.raises(ConfigError, match="No space left"):
        make_keys(folder)
    monkeypatch.undo()
    assert folder.exists() == (tmp_path / "new").exists() == is_there
    make_keys(folder)
    _fill_disk(monkeypatch, room_for)
    with pytest.raises(ConfigError, match="No space left"):
        add_client(folder, "robot")
    monkeypatch.undo()
    add_client(folder, "robot")


def _fill_disk(monkeypatch: pytest.MonkeyPatch, room_for: int) -> None:
    """Let the disk be full after some files."""
    written, write = [0], write_whole

    def full(path: Path, content: str, **how: Any) -> None:
        written[0] += 1
        if written[0] > room_for:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, content, **how)

    monkeypatch.setattr(keys, "write_whole", full)
