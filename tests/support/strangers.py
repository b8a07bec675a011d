"""A gateway in a process of its own, and strangers at its door: bare sockets that send what no client would."""

import contextlib
import re
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ssa_stream.nodes.gateway.settings import GatewaySettings, StreamAccess, save_settings
from tests.support.waiting import wait_until

__all__ = ["GatewayProcess", "Stranger", "exchange", "gateway_process", "silent_crowd"]

_PATIENCE_S = 30.0
_ESTABLISHED = "01"
STREAMS = {
    "cam": StreamAccess(kind="camera", label="a browser's camera"),
    "file": StreamAccess(kind="source", label="street.mp4"),
}


class GatewayProcess:
    """A running gateway without a graph.

    Attributes:
        port: Of its page.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.process = process
        self._log = log
        self.port = 0

    @property
    def log(self) -> str:
        """What it wrote."""
        return self._log.read_text(errors="replace")

    def get(self, path: str = "/", *, address: str = "127.0.0.1", headers: bytes = b"") -> bytes:
        """Ask for something from an address of this machine; returns status line, headers and body, or nothing."""
        request = b"GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n%s\r\n" % (path.encode(), headers)
        return exchange(self.port, request, address=address)

    def status(self, path: str = "/", *, address: str = "127.0.0.1") -> int:
        """The status of an answer; 0 without one."""
        return status_of(self.get(path, address=address))

    def connections(self) -> int:
        """How many connections to its page are established, seen from its side."""
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return sum(row[1].endswith(f":{self.port:04X}") and row[3] == _ESTABLISHED for row in rows)

    def open_files(self) -> int:
        """How many descriptors it has open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))


@contextmanager
def gateway_process(folder: Path, *, open_files: int | None = None, **settings: Any) -> Iterator[GatewayProcess]:
    """A gateway, from when its page is served; it has to live to the end, and then ends in order.

    Args:
        folder: For its files.
        open_files: The limit of its open files.
        settings: Of `GatewaySettings`.
    """
    run_dir = folder / "run"
    run_dir.mkdir()
    fields = {
        "port": 0,
        "publish": "tcp://127.0.0.1:1",
        "requests": "tcp://127.0.0.1:1",
        "run_dir": str(run_dir),
        "streams": STREAMS,
        "loopback_media": True,
        **settings,
    }
    save_settings(GatewaySettings(**fields), run_dir / "gateway.json")
    command = [sys.executable, "-P", "-m", "ssa_stream.nodes.gateway", str(run_dir / "gateway.json")]
    with (folder / "gateway.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    if open_files is not None:
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (open_files, open_files))
    gateway = GatewayProcess(process, folder / "gateway.log")
    try:
        wait_until(lambda: "event=page" in gateway.log or process.poll() is not None, "the page is served")
        found = re.search(r"event=page url=https?://127\.0\.0\.1:(\d+)/", gateway.log)
        assert found is not None, gateway.log
        gateway.port = int(found[1])
        yield gateway
        assert process.poll() is None, gateway.log
        process.terminate()
        assert process.wait(_PATIENCE_S) == 0, gateway.log
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def exchange(port: int, sent: bytes, *, address: str = "127.0.0.1") -> bytes:
    """Send something over a connection of its own; returns what comes until the other side closes it."""
    with Stranger(port, address) as one:
        return one.send(sent).read_all()


def status_of(answer: bytes) -> int:
    """The status in an answer; 0 if it has none."""
    found = re.match(rb"HTTP/\d\.\d (\d{3}) ", answer)
    return 0 if found is None else int(found[1])


class Stranger:
    """One connection, from an address of this machine."""

    def __init__(self, port: int, address: str = "127.0.0.1", *, patience_s: float = _PATIENCE_S) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=patience_s, source_address=(address, 0))

    @property
    def raw(self) -> socket.socket:
        """Its socket, for TLS."""
        return self._socket

    def __enter__(self) -> "Stranger":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, data: bytes) -> "Stranger":
        """Send something; that the other side has closed the connection is no error."""
        with contextlib.suppress(ConnectionError):
            self._socket.sendall(data)
        return self

    def send_while_read(self, data: bytes) -> None:
        """Send something over and over, until the other side reads no more for a while, or closes the connection."""
        with contextlib.suppress(ConnectionError, TimeoutError):
            for _ in range(10_000):
                self._socket.sendall(data)
            raise AssertionError("everything was read")

    def read_some(self) -> bytes:
        """What comes first; nothing if the other side has closed the connection."""
        with contextlib.suppress(ConnectionError):
            return self._socket.recv(65_536)
        return b""

    def read_all(self) -> bytes:
        """What comes until the other side closes the connection."""
        parts = []
        with contextlib.suppress(ConnectionError):
            while part := self._socket.recv(65_536):
                parts.append(part)
        return b"".join(parts)

    def is_closed(self) -> bool:
        """Whether the other side has closed it; what has come is thrown away."""
        self._socket.setblocking(False)
        try:
            while self._socket.recv(65_536):
                pass
        except BlockingIOError:
            return False
        except ConnectionError:
            pass
        return True

    def close(self) -> None:
        """Close it."""
        self._socket.close()


@contextmanager
def silent_crowd(port: int, number: int, address: str = "127.0.0.1") -> Iterator[list[Stranger]]:
    """Connections that say nothing, as many as can be made."""
    crowd: list[Stranger] = []
    try:
        for _ in range(number):
            crowd.append(Stranger(port, address))
        yield crowd
    finally:
        for one in crowd:
            one.close()
