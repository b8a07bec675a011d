"""The thread that reads a subscriber's socket, so that no messages queue up in it while the consumer works."""

import threading
from collections.abc import Callable, Sequence

import zmq
from zmq.utils.monitor import recv_monitor_message

from ssa_stream.client.sockets import connect, subscriber_socket
from ssa_stream.errors import ConfigError
from ssa_stream.keys import ClientKeys

__all__ = ["Receiver"]

QUEUED_MESSAGES = 1000
_REFUSALS = zmq.Event.HANDSHAKE_FAILED_AUTH | zmq.Event.HANDSHAKE_FAILED_PROTOCOL
_LINK = zmq.Event.HANDSHAKE_SUCCEEDED | zmq.Event.DISCONNECTED | _REFUSALS


class Receiver:
    """Reads everything that comes, as soon as it comes, and hands it on.

    Attributes:
        is_connected: Whether there is a publisher at the address.
        is_refused: Whether the last one that was there refused us, or our keys.
    """

    def __init__(
        self,
        address: str,
        subscriptions: Sequence[bytes],
        on_parts: Callable[[list[zmq.Frame]], None],
        keys: ClientKeys | None = None,
    ) -> None:
        """Connect, and begin to read.

        Args:
            address: Of the publisher, such as `tcp://127.0.0.1:5555`. It need not be there yet.
            subscriptions: Prefixes of topics.
            on_parts: Called with every message, by the reading thread. Must not raise and should not take long.
            keys: For a publisher that takes in known clients only.
        Raises:
            ConfigError: Not an address.
        """
        self.is_connected = self.is_refused = False
        self._on_parts = on_parts
        self._context = zmq.Context()
        try:
            self._socket = subscriber_socket(
                self._context, address, subscriptions, keys, queued_messages=QUEUED_MESSAGES
            )
            self._monitor = self._socket.get_monitor_socket(_LINK)
            connect(self._socket, address)
        except ConfigError:
            self._context.destroy(linger=0)
            raise
        self._thread = threading.Thread(target=self._read, name=f"receiver of {address}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread and close the socket. May be called again."""
        self._context.term()  # wakes the thread, which closes the sockets; waits for that
        self._thread.join()

    def _read(self) -> None:
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._monitor, zmq.POLLIN)
        try:
            while True:
                ready = dict(poller.poll())
                if self._monitor in ready:
                    self._note_connection()
                while self._socket in ready:
                    try:
                        parts = self._socket.recv_multipart(flags=zmq.NOBLOCK, copy=False)
                    except zmq.Again:
                        break
                    self._on_parts(parts)
        except zmq.ContextTerminated:
            pass
        finally:
            self._monitor.close(linger=0)
            self._socket.close(linger=0)

    def _note_connection(self) -> None:
        event = recv_monitor_message(self._monitor)["event"]
        if event & _REFUSALS:
            self.is_refused = True
            return
        self.is_connected = event == zmq.Event.HANDSHAKE_SUCCEEDED
        self.is_refused = self.is_refused and not self.is_connected
