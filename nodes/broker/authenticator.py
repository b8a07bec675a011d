"""ZAP authenticator: decides at every handshake which clients may connect to the public sockets (ZeroMQ RFC 27)."""

import re

import structlog
import zmq
import zmq.asyncio
from zmq.utils import z85

from ssa_stream.keys import ClientKeys, ServerKeys
from ssa_stream.nodes.broker.allowed_keys import AllowedKeys
from ssa_stream.nodes.broker.counters import Counters
from ssa_stream.nodes.broker.sockets import bound_socket, receive, try_send
from ssa_stream.nodes.pipeline import BROKER
from ssa_stream.nodes.runtime.descriptors import DescriptorReserve
from ssa_stream.nodes.runtime.logs import LogLimit

__all__ = ["ZapAuthenticator"]

_ADDRESS = "inproc://zeromq.zap.01"
_VERSION = b"1.0"
_REQUEST_PARTS = 7
_KEY_BYTES = 32
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_OWN_NAME = "(launcher)"
_log = structlog.get_logger()


class ZapAuthenticator:
    """Lets in those whose public keys lie in the graph's folder, and nobody else.

    The folder is looked at at every handshake: a client that is added gets in at once, one that is removed does not get
    in again. It must be there before the sockets that it guards, and is one for all sockets of a context. Messages of
    who was let in carry the client's name as their `User-Id`.

    Attributes:
        own: Keys for subscribers and clients within the launcher's own process; they lie in no file.
    """

    def __init__(
        self, context: zmq.asyncio.Context, keys: ServerKeys, counters: Counters, reserve: DescriptorReserve
    ) -> None:
        self.own = ClientKeys.make(keys.public)
        self._allowed = AllowedKeys(keys, counters, reserve)
        self._counters = counters
        self._log_limit = LogLimit()
        self._socket, _ = bound_socket(context, zmq.REP, _ADDRESS, {zmq.LINGER: 0})

    async def serve(self) -> None:
        """Answer. Runs until it is cancelled; nobody gets in afterwards."""
        while True:
            parts = [part.bytes for part in await receive(self._socket)]
            name = self._admitted(parts)
            status, text = (b"400", b"unknown key") if name is None else (b"200", b"OK")
            request_id = parts[1] if len(parts) > 1 else b""
            await try_send(self._socket, [_VERSION, request_id, status, text, name or b"", b""])

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _admitted(self, parts: list[bytes]) -> bytes | None:
        """The name of a client that may pass; None if it may not."""
        is_curve = len(parts) == _REQUEST_PARTS and parts[0] == _VERSION and parts[5] == b"CURVE"
        if not is_curve or len(parts[6]) != _KEY_BYTES:
            self._counters.passed_over("clients_refused", "a handshake that is not CURVE")
            return None
        key = z85.encode(parts[6])
        name = _OWN_NAME if key == self.own.public else self._allowed.name_of(key)
        address = parts[3].decode(errors="replace")
        if name is None:
            self._counters.passed_over("clients_refused", f"{address} with the unknown public key {key.decode()}")
            return None
        self._counters["clients_admitted"] += 1
        if self._log_limit.due("admitted") is not None:
            _log.debug("admitted", node=BROKER, client=ascii(name), address=address)
        # Names that people gave files may be of any form, or that of the launcher.
        return name.encode() if name == _OWN_NAME or _NAME.fullmatch(name) else key
