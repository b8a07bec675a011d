"""What a service manager is told (systemd, `Type=notify`): that the service is ready, lives and stops.

The protocol is that of `sd_notify(3)`: datagrams to the socket that `NOTIFY_SOCKET` names. Without it nothing is told.
"""

import contextlib
import os
import socket
from collections.abc import Mapping
from typing import Self

__all__ = ["ServiceManager"]


class ServiceManager:
    """The one that started this process, if it wants to be told.

    Args:
        address: Of its socket; begins with `@` if it is an abstract one; empty: nobody wants to be told.
        watchdog_s: It takes the process for dead after so long without `alive`; None if it does not watch.
    """

    def __init__(self, address: str = "", watchdog_s: float | None = None) -> None:
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self.watchdog_s = watchdog_s if address else None
        self._is_stopping = False

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        """The one that the variables of a process name. A watchdog of another process is none of this one."""
        interval = environment.get("WATCHDOG_USEC", "")
        is_own = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        watchdog_s = int(interval) / 1e6 if is_own and interval.isdecimal() and int(interval) else None
        return cls(environment.get("NOTIFY_SOCKET", ""), watchdog_s)

    def ready(self, status: str) -> None:
        """The service does its work; says in a few words how it is."""
        self._tell("READY=1", f"STATUS={_one_line(status)}")

    def status(self, status: str) -> None:
        """How it is, in a few words."""
        self._tell(f"STATUS={_one_line(status)}")

    def alive(self) -> None:
        """For its watchdog."""
        self._tell("WATCHDOG=1")

    def stopping(self) -> None:
        """The service begins to end; told once."""
        if not self._is_stopping:
            self._is_stopping = True
            self._tell("STOPPING=1")

    def _tell(self, *lines: str) -> None:
        """Never waits and never fails: a service goes on without its manager."""
        if not self._address:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
            link.setblocking(False)
            link.sendto("\n".join(lines).encode(errors="replace"), self._address)


def _one_line(text: str) -> str:
    return " ".join(text.split())
