"""Key files: who a graph is, and who may connect to it from other machines (CURVE, as ZeroMQ has it).

    keys/
    ├── server.key_secret          stays with the graph
    ├── server.key                 its public half
    ├── allowed/robot.key          who may connect: one public key a file
    └── clients/robot/             goes to that client as it is
        ├── client.key_secret
        └── server.key

Files have the form of `zmq.auth`, which reads them. Secret ones are made readable for their owner only.
"""

import contextlib
import errno
import os
import re
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Self

import zmq
import zmq.auth

from ssa_stream.errors import ConfigError
from ssa_stream.files import write_whole

__all__ = [
    "AllowedKey",
    "ClientKeys",
    "FileMark",
    "ServerKeys",
    "add_client",
    "can_encrypt",
    "client_keys",
    "make_keys",
]

_SERVER, _CLIENT, _SECRET, _PUBLIC = "server", "client", ".key_secret", ".key"
_ALLOWED, _CLIENTS = "allowed", "clients"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")
_KEY_CHARACTERS = 40
_MAX_ALLOWED, _MAX_ENTRIES, _MAX_KEY_BYTES = 1000, 10_000, 64 * 1024
_NO_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE})
_MAKE = "make keys with: ssa-stream keys init DIR"


class FileMark(NamedTuple):
    """What tells whether a file is the one that was read: any change of it changes the mark."""

    inode: int
    size: int
    changed_ns: int

    @classmethod
    def of(cls, path: Path) -> Self | None:
        """The mark of a regular file or a folder; None if there is none. Takes no descriptor."""
        try:
            status = path.stat()
        except OSError:
            return None
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            return None
        return cls(status.st_ino, status.st_size, status.st_mtime_ns)


class AllowedKey(NamedTuple):
    """A client that may connect.

    Attributes:
        name: Of the client.
        path: Of the file with its public key.
        mark: Of that file, when it was read.
    """

    name: str
    path: Path
    mark: FileMark


@dataclass(frozen=True, slots=True)
class ServerKeys:
    """What a graph needs.

    Attributes:
        public: Known to its clients, Z85.
        secret: Known to nobody else, Z85.
        folder: Of the keys that may connect.
    """

    public: bytes
    secret: bytes = field(repr=False)
    folder: Path

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read the folder that `make_keys` made.

        Raises:
            ConfigError: It is none.
        """
        path = Path(folder)
        public, secret = _read_secret(path / f"{_SERVER}{_SECRET}", "the folder of a graph")
        if not (path / _ALLOWED).is_dir():
            raise ConfigError(f"{path} has no folder {_ALLOWED!r}, which says who may connect; {_MAKE}")
        return cls(public, secret, path)

    def allowed(self) -> dict[bytes, str]:
        """Who may connect now: names by public key, Z85. A file that holds no key allows nobody.

        Raises:
            OSError: There is no descriptor left to read with; nothing else is raised, whatever lies in the folder.
        """
        return {key: entry.name for key, entry in self.read_allowed().items()}

    def read_allowed(self) -> "dict[bytes, AllowedKey]":
        """The same, with the files that the keys were read from. Raises as `allowed` does."""
        try:
            with os.scandir(self.folder / _ALLOWED) as entries:
                names = [entry.name for entry in islice(entries, _MAX_ENTRIES) if entry.name.endswith(_PUBLIC)]
        except OSError as error:
            if error.errno in _NO_DESCRIPTORS:
                raise
            return {}
        paths = (self.folder / _ALLOWED / name for name in sorted(names)[:_MAX_ALLOWED])
        return {key: entry for path in paths for key, entry in _allowed_by(path)}

    @property
    def allowed_folder(self) -> Path:
        """Where the public keys of clients lie."""
        return self.folder / _ALLOWED

    def secure(self, socket: zmq.Socket[Any]) -> None:
        """Let a socket that is not bound yet take nobody in whom the authenticator of its context refuses."""
        socket.setsockopt(zmq.CURVE_SERVER, 1)
        socket.setsockopt(zmq.CURVE_SECRETKEY, self.secret)
        socket.setsockopt(zmq.ZAP_DOMAIN, b"ssa_stream")
        # Without it whoever knows the public key gets in as long as there is no authenticator.
        socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)


@dataclass(frozen=True, slots=True)
class ClientKeys:
    """What a client needs.

    Attributes:
        public: Known to the graph, Z85.
        secret: Known to nobody else, Z85.
        server: The graph's public key, Z85.
    """

    public: bytes
    secret: bytes = field(repr=False)
    server: bytes

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read a folder of `clients`.

        Raises:
            ConfigError: It is none.
        """
        path = Path(folder)
        public, secret = _read_secret(path / f"{_CLIENT}{_SECRET}", "the folder of a client")
        return cls(public, secret, _read(path / f"{_SERVER}{_PUBLIC}")[0])

    @classmethod
    def make(cls, server: bytes) -> Self:
        """New keys that lie in no file.

        Args:
            server: The graph's public key.
        """
        return cls(*_new_pair(), server)

    def secure(self, socket: zmq.Socket[Any]) -> None:
        """Let a socket that is not connected yet prove who it is, and talk to that graph only."""
        socket.setsockopt(zmq.CURVE_SERVERKEY, self.server)
        socket.setsockopt(zmq.CURVE_PUBLICKEY, self.public)
        socket.setsockopt(zmq.CURVE_SECRETKEY, self.secret)


def can_encrypt() -> bool:
    """Whether this build of ZeroMQ can."""
    return zmq.has("curve")


def client_keys(keys: "ClientKeys | str | Path | None") -> ClientKeys | None:
    """Keys as a caller may give them.

    Args:
        keys: Keys, or their folder; None for none.
    Raises:
        ConfigError: It is no such folder.
    """
    return keys if keys is None or isinstance(keys, ClientKeys) else ClientKeys.load(keys)


def make_keys(folder: Path) -> None:
    """Make the keys of a graph; nobody may connect yet.

    Args:
        folder: Made if it is not there.
    Raises:
        ConfigError: It has keys already, or cannot be written.
    """
    pair = _new_pair()
    if (folder / f"{_SERVER}{_SECRET}").exists():
        raise ConfigError(
            f"{folder} has the keys of a graph already; they are not overwritten, as all its clients would be locked "
            f"out: name another folder, or remove that one first"
        )
    secret, made = folder / f"{_SERVER}{_SECRET}", _missing(folder)
    try:
        for wanted in (folder, folder / _ALLOWED, folder / _CLIENTS):
            wanted.mkdir(mode=0o700, parents=wanted is folder, exist_ok=True)
        _write(secret, *pair)
        _write(folder / f"{_SERVER}{_PUBLIC}", pair[0])
    except OSError as error:
        if not isinstance(error, FileExistsError):  # another process makes them
            secret.unlink(missing_ok=True)
        for path in made:
            with contextlib.suppress(OSError):  # not empty, or never made
                path.rmdir()
        raise ConfigError(f"cannot write keys to {folder} ({error}); name another folder") from error


def _missing(folder: Path) -> list[Path]:
    """The folders that `make_keys` will make, innermost first."""
    parents = [path for path in (folder, *folder.parents) if not path.exists()]
    return [path for path in (folder / _ALLOWED, folder / _CLIENTS) if not path.exists()] + parents


def add_client(folder: Path, name: str) -> Path:
    """Make the keys of a client, and allow it to connect.

    Args:
        folder: Of the graph's keys.
        name: Of the client.
    Returns:
        The folder that the client needs.
    Raises:
        ConfigError: There is such a client, the folder has no keys of a graph, or it cannot be written.
    """
    if _NAME.fullmatch(name) is None:
        raise ConfigError(f"the client's name is {name!r}; expected 1 to 32 letters, digits, _ and -")
    server, pair = ServerKeys.load(folder), _new_pair()
    own, allowed = folder / _CLIENTS / name, folder / _ALLOWED / f"{name}{_PUBLIC}"
    if own.exists() or allowed.exists():
        raise ConfigError(f"client {name!r} has keys already; choose another name, or remove {own} and {allowed}")
    is_made = False
    try:
        own.mkdir(mode=0o700, parents=True)
        is_made = True
        _write(own / f"{_CLIENT}{_SECRET}", *pair)
        _write(own / f"{_SERVER}{_PUBLIC}", server.public)
        _write(allowed, pair[0])
    except OSError as error:
        if is_made:
            shutil.rmtree(own, ignore_errors=True)
        raise ConfigError(f"cannot write keys to {folder} ({error})") from error
    return own


def _allowed_by(path: Path) -> Iterator[tuple[bytes, AllowedKey]]:
    """The key in a file of `allowed`; nothing if it holds none, or is no file that can be read at once."""
    mark = FileMark.of(path)
    if mark is None or mark.size > _MAX_KEY_BYTES or path.is_dir():
        return
    try:
        key = zmq.auth.load_certificate(path)[0]
    except OSError as error:
        if error.errno in _NO_DESCRIPTORS:
            raise
    except ValueError:
        return
    else:
        yield key, AllowedKey(path.name.removesuffix(_PUBLIC), path, mark)


def _new_pair() -> tuple[bytes, bytes]:
    try:
        return zmq.curve_keypair()
    except zmq.ZMQError as error:
        raise ConfigError(
            f"this build of ZeroMQ cannot encrypt ({error}); install the pyzmq wheel of PyPI: pip install pyzmq"
        ) from error


def _write(path: Path, public: bytes, secret: bytes | None = None) -> None:
    """Write a new key file; a secret one is at no moment readable for others."""
    lines = ["curve", f'    public-key = "{public.decode()}"']
    if secret is not None:
        lines = ["# Secret: give it to nobody.", *lines, f'    secret-key = "{secret.decode()}"']
    write_whole(path, "\n".join([*lines, ""]), mode=0o644 if secret is None else 0o600, overwrite=False)


def _read(path: Path) -> tuple[bytes, bytes | None]:
    try:
        public, secret = zmq.auth.load_certificate(path)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} is no key file ({error}); {_MAKE}") from error
    if any(key is not None and len(key) != _KEY_CHARACTERS for key in (public, secret)):
        raise ConfigError(f"{path} holds a key that has not {_KEY_CHARACTERS} characters; copy the file again")
    return public, secret


def _read_secret(path: Path, what: str) -> tuple[bytes, bytes]:
    if not path.is_file():
        raise ConfigError(f"{path.parent} is not {what}: it has no {path.name}; {_MAKE}")
    public, secret = _read(path)
    if secret is None:
        raise ConfigError(f"{path} holds no secret key; copy the file again")
    return public, secret
