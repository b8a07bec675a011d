"""Python processes that start warm: forks of one that has imported everything (`tests/support/warm_server.py`).

A test of what a program does needs a process of its own for it, but not the seconds in which that imports torch. While
`warm_starts` is in force, `subprocess` and `asyncio` start Python programs in this way, whoever asks: tests, and the
launcher when it starts nodes. The process is a child as any other, with its own id, streams, signals and exit code.
Only Linux can do it; elsewhere, and for options of the interpreter, processes start as usual.
"""

import ctypes
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import CONSOLE_SCRIPT

__all__ = ["SERVER", "WarmServer", "warm_starts"]

SERVER = Path(__file__).with_name("warm_server.py")
_PR_SET_CHILD_SUBREAPER = 36
_READY_S = 120.0
_ROOM = 2000  # bytes of the command line that the system shows


class WarmServer:
    """The process that forks others; an interpreter of its own is started for each until `close`."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="warm")
        self._address = f"{self._folder.name}/socket"
        self._lock = threading.Lock()
        command = [sys.executable, "-P", str(SERVER), self._address, " " * _ROOM]
        self._environment = dict(os.environ)
        single = {"OPENBLAS_NUM_THREADS": "1"}  # NumPy would start threads when it is imported, and forks lack them
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, env=self._environment | single)

    def takes(self, args: Sequence[str], env: Mapping[str, str]) -> bool:
        """Whether a command line is a Python program that runs the same in a fork."""
        args = _as_interpreter(args)
        options = args[1:3] if args[1:2] != ["-P"] else args[2:4]
        if args[:1] != [sys.executable] or not options or (options[0][:1] == "-" and options[0] not in ("-c", "-m")):
            return False
        return _interpreter_settings(env) == _interpreter_settings(self._environment)

    def start(
        self, args: Sequence[str], cwd: str, env: Mapping[str, str], fds: Sequence[int], *, new_session: bool
    ) -> int:
        """Start a process; returns its id.

        Raises:
            OSError: As starting an interpreter would.
        """
        request = {"args": _as_interpreter(args), "cwd": cwd, "env": dict(env), "new_session": new_session}
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server, self._lock:
            self._connect(server)
            _adopt_orphans(True)
            try:
                socket.send_fds(server, [json.dumps(request).encode()], list(fds))
                pid = int(server.recv(32))
            finally:
                _adopt_orphans(False)
            server.send(b"go")
            error = int(server.recv(32))
        if error:
            os.waitpid(pid, 0)
            raise OSError(error, os.strerror(error), cwd)
        return pid

    def wait_until_ready(self) -> None:
        """Wait until it has imported everything."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
            self._connect(server)
            server.shutdown(socket.SHUT_WR)
            server.settimeout(_READY_S)
            server.recv(1)  # it closes the connection when it comes to it

    def _connect(self, server: socket.socket) -> None:
        deadline_s = time.monotonic() + _READY_S
        while True:
            try:
                return server.connect(self._address)
            except (FileNotFoundError, ConnectionRefusedError):  # it is just starting
                assert self._process.poll() is None, "the warm process ended"
                assert time.monotonic() < deadline_s, "the warm process does not get ready"
                time.sleep(0.01)

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(_READY_S)
        self._folder.cleanup()


@contextmanager
def warm_starts(server: WarmServer) -> Iterator[None]:
    """While in force, Python programs are started by the server."""

    class Popen(subprocess.Popen):  # type: ignore[type-arg]
        def _execute_child(self, args: Any, executable: Any, preexec_fn: Any, *rest: Any) -> None:
            _, pass_fds, cwd, env, _, _, shell, *pipes, _, gid, gids, uid, umask = rest[:-2]
            new_session, group = rest[-2:]
            words = [os.fsdecode(one) for one in args] if not isinstance(args, str | bytes | os.PathLike) else []
            environment = dict(os.environ if env is None else env)
            plain = (executable, preexec_fn, pass_fds, shell, gid, gids, uid, umask, group)
            if plain != (None, None, (), False, None, None, None, -1, -1) or not server.takes(words, environment):
                return super()._execute_child(args, executable, preexec_fn, *rest)  # type: ignore[misc, no-any-return]
            streams = [pipe if pipe != -1 else fd for fd, pipe in enumerate((pipes[0], pipes[3], pipes[5]))]
            self.pid = server.start(words, os.fspath(cwd or os.getcwd()), environment, streams, new_session=new_session)
            self._child_created = True
            self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess, "Popen", Popen)
        yield


def _as_interpreter(args: Sequence[str]) -> list[str]:
    """The command line of the interpreter that a program amounts to."""
    if args[:2] == ["env", "--default-signal=INT"]:  # as forks have it
        args = args[2:]
    return [sys.executable, *args] if args[:1] == [str(CONSOLE_SCRIPT)] else list(args)


def _interpreter_settings(env: Mapping[str, str]) -> dict[str, str]:
    """Variables that a running interpreter, or a library in it, no longer listens to."""
    names = {name for name in env if name.startswith(("PYTHON", "OMP_", "GOMP_"))} - {"PYTHONUNBUFFERED"}
    return {name: env[name] for name in names}


def _adopt_orphans(on: bool) -> None:
    """Whether processes whose parents have ended become children of this one."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, int(on), 0, 0, 0)
