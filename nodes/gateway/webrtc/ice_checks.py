"""How many datagrams connectivity checks may send to addresses from which nothing has come.

aioice sends up to seven datagrams to each candidate of an offer, from each address of this machine. Whoever wrote the
offer need not be at these addresses. Everything that touches private names of aioice is here; a test holds it to the
installed version.
"""

from typing import Any

from aioice import stun
from aioice.ice import CandidatePair
from aiortc import RTCPeerConnection

from ssa_stream.nodes.gateway.webrtc.limits import RateLimit

__all__ = ["CheckBudget"]

_MAX_HEARD = 16
_CHECKS_OF_HEARD = 8
_MAX_PAIRS = 256
_Place = tuple[str, int]


class CheckBudget:
    """The checks of one session.

    Addresses that have answered a check are checked without limit, as consent to send requires. An address that sent a
    valid check of its own, for which it must know the answer of the session, gets a few checks besides the budget: so
    an honest peer is found even when the budget has gone to candidates where it is not. The sender of a datagram can be
    forged, so there are few such addresses.

    Args:
        limit: How many for addresses of which nothing is known.
        overall: The same for all sessions together.

    Attributes:
        refused: Datagrams that were not sent.
    """

    def __init__(self, limit: int, overall: RateLimit) -> None:
        self.refused = 0
        self._left, self._overall = limit, overall
        self._heard: dict[_Place, int] = {}

    def bind(self, connection: RTCPeerConnection) -> None:
        """Hold a connection to the budget; call it when its answer is made, before the event loop gets on."""
        inner: Any = connection
        for transport in inner._RTCPeerConnection__iceTransports:
            self._bind(transport._connection)

    def _bind(self, ice: Any) -> None:
        incoming = ice.check_incoming

        def check_incoming(message: stun.Message, address: _Place, protocol: Any) -> None:
            if len(self._heard) < _MAX_HEARD:
                self._heard.setdefault(address, _CHECKS_OF_HEARD)
            if address in self._heard or len(ice._check_list) < _MAX_PAIRS:
                incoming(message, address, protocol)

        ice.check_incoming = check_incoming
        for protocol in ice._protocols:
            self._bind_protocol(ice, protocol)

    def _bind_protocol(self, ice: Any, protocol: Any) -> None:
        send = protocol.send_stun

        def send_stun(message: stun.Message, address: _Place) -> None:
            if message.message_class != stun.Class.REQUEST or self._allows(ice, address):
                send(message, address)
            else:
                self.refused += 1

        protocol.send_stun = send_stun

    def _allows(self, ice: Any, address: _Place) -> bool:
        answered = CandidatePair.State.SUCCEEDED
        if any(pair.state is answered and pair.remote_addr == address for pair in ice._check_list):
            return True
        if self._heard.get(address, 0) > 0:
            self._heard[address] -= 1
            return True
        if self._left <= 0 or not self._overall.take():
            return False
        self._left -= 1
        return True
