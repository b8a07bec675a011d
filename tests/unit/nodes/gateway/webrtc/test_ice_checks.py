"""The budget of connectivity checks, on the installed aioice."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aioice
import aioice.ice
import pytest
from aioice import stun

from ssa_stream.nodes.gateway.webrtc.ice_checks import CheckBudget
from ssa_stream.nodes.gateway.webrtc.limits import RateLimit

pytestmark = pytest.mark.usefixtures("_on_loopback")


@pytest.fixture
def _on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """One address is enough."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])


class _Transport:
    """As a connection of aiortc holds one of aioice."""

    def __init__(self, ice: aioice.Connection) -> None:
        self._connection = ice


class _Peer:
    """As much of a connection of aiortc as the budget looks at."""

    def __init__(self, ice: aioice.Connection) -> None:
        self._RTCPeerConnection__iceTransports = {_Transport(ice)}


@asynccontextmanager
async def _connection(budget: CheckBudget) -> AsyncIterator[tuple[aioice.Connection, list[Any]]]:
    """A connection held to a budget, and what it sends."""
    sent: list[Any] = []
    ice = aioice.Connection(ice_controlling=False)
    await ice.gather_candidates()
    protocols: list[Any] = ice._protocols
    for protocol in protocols:
        protocol.send_stun = lambda message, address: sent.append(address)
    peer: Any = _Peer(ice)
    budget.bind(peer)
    try:
        yield ice, sent
    finally:
        await ice.close()


def _request() -> stun.Message:
    message = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
    message.attributes["PRIORITY"] = 1
    return message


async def test_check_budget_unknown_addresses_share_it() -> None:
    """Answers to others do not count."""
    budget = CheckBudget(3, RateLimit(1000))
    async with _connection(budget) as (ice, sent):
        protocol: Any = ice._protocols[0]
        for number in range(10):
            protocol.send_stun(_request(), ("127.0.9.1", 5000 + number))
        assert len(sent) == 3
        assert budget.refused == 7
        answer = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.RESPONSE)
        protocol.send_stun(answer, ("127.0.9.1", 5009))
        assert len(sent) == 4


async def test_check_budget_of_all_sessions_is_kept() -> None:
    """One session cannot send more because there are several."""
    overall = RateLimit(2, clock=lambda: 0.0)
    budgets = [CheckBudget(100, overall) for _ in range(2)]
    count = 0
    for budget in budgets:
        async with _connection(budget) as (ice, sent):
            protocol: Any = ice._protocols[0]
            for _ in range(10):
                protocol.send_stun(_request(), ("127.0.9.1", 5000))
            count += len(sent)
    assert count == 4


async def test_check_budget_spent_leaves_checks_for_an_address_that_was_heard() -> None:
    """A few, and for a few addresses: whose address is on a datagram may be forged."""
    budget = CheckBudget(1, RateLimit(1000))
    async with _connection(budget) as (ice, sent):
        ice.remote_username, ice.remote_password = "user", "password" * 4
        protocol: Any = ice._protocols[0]
        protocol.send_stun(_request(), ("127.0.9.1", 5000))
        for number in range(40):
            ice.check_incoming(_request(), ("127.0.9.2", 6000 + number), protocol)
        await asyncio.sleep(0)
        for _ in range(20):
            for number in range(40):
                protocol.send_stun(_request(), ("127.0.9.2", 6000 + number))
        assert len(sent) == 1 + 16 * 8


async def test_check_budget_spent_does_not_hold_up_an_address_that_answered() -> None:
    """Consent to send is asked for as long as the session lasts."""
    budget = CheckBudget(1, RateLimit(1000))
    async with _connection(budget) as (ice, sent):
        protocol: Any = ice._protocols[0]
        remote = aioice.Candidate.from_sdp("1 1 udp 1 127.0.9.1 5000 typ host")
        await ice.add_remote_candidate(remote)
        ice._pair_remote_candidate(ice._remote_candidates[0])
        ice._check_list[0].state = aioice.ice.CandidatePair.State.SUCCEEDED
        for _ in range(30):
            protocol.send_stun(_request(), ("127.0.9.1", 5000))
        assert len(sent) == 30
        assert budget.refused == 0
