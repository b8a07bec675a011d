"""All peers of a gateway."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from ssa_stream.errors import MessageError
from ssa_stream.nodes.gateway.pictures.cameras import Cameras
from ssa_stream.nodes.gateway.settings import GatewaySettings
from ssa_stream.nodes.gateway.streams import StreamHandler
from ssa_stream.nodes.gateway.webrtc.limits import RateLimit
from ssa_stream.nodes.gateway.webrtc.peer import Peer, Role
from ssa_stream.nodes.runtime.http.connections import client_of
from ssa_stream.nodes.runtime.logs import LogLimit
from ssa_stream.nodes.runtime.memory import reclaim
from ssa_stream.nodes.runtime.metrics import NodeMetrics

__all__ = ["Peers", "Refused"]

_LOG = structlog.get_logger()
_CLOSE_S = 3.0
_ANSWER_S = 10.0
_DETAIL_LENGTH = 200
_RECLAIM_S = 1.0
"""After a session: its tasks and threads have ended by then, and sessions that end together cost once."""


@dataclass
class Refused(Exception):
    """A session cannot begin.

    Attributes:
        status: HTTP status.
        text: Why.
    """

    status: int
    text: str


class Peers:
    """Begins sessions, keeps them, ends them.

    Args:
        settings: Of the gateway.
        handlers: Streams by name.
        cameras: See there.
        group: Runs the sessions.
        metrics: Count what peers send and get, and how many there are.
    """

    def __init__(
        self,
        settings: GatewaySettings,
        handlers: Mapping[str, StreamHandler],
        cameras: Cameras,
        group: asyncio.TaskGroup,
        metrics: NodeMetrics,
    ) -> None:
        self.handlers = handlers
        self._settings, self._cameras, self._group, self._metrics = settings, cameras, group, metrics
        self._log = LogLimit()
        self._checks = RateLimit(settings.limits.checks_per_s)
        self._peers: dict[str, Peer] = {}
        self._publishing: set[str] = set()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._reclaiming: asyncio.TimerHandle | None = None
        self._tell_number()

    def __len__(self) -> int:
        return len(self._peers)

    async def begin(
        self, role: Role, stream: str, offer: str, *, address: str | None = None, overlay: bool = False
    ) -> tuple[Peer, str]:
        """Begin a session; returns the peer and the answer to its offer.

        Args:
            role: What the peer does.
            stream: Which one it is about.
            offer: Its session description.
            address: From where that came.
            overlay: Whether it gets pictures with masks drawn on them.
        Raises:
            Refused: It cannot begin.
        """
        handler = self._expect_room(role, stream, address)
        peer = Peer(role, handler, self._settings, self._metrics, checks=self._checks, address=address, overlay=overlay)
        self._peers[peer.id] = peer
        self._tell_number()
        if role == "publish":
            self._publishing.add(stream)
        try:
            async with asyncio.timeout(_ANSWER_S):
                answer = await peer.answer(offer)
        except MessageError as error:
            await self._forget(peer)
            self._log_cause(peer, error.__cause__)
            raise Refused(400, str(error)) from error
        except TimeoutError as error:
            await self._forget(peer)
            raise Refused(400, f"the offer could not be answered within {_ANSWER_S:g} s") from error
        except OSError as error:
            await self._forget(peer)
            raise Refused(503, f"there is no room for another peer: {error.strerror}") from error
        except BaseException:
            await self._forget(peer)
            raise
        self._tasks[peer.id] = self._group.create_task(self._run(peer), name=f"peer of {stream}")
        self._say("peer came", stream=stream, role=role, peers=len(self))
        return peer, answer

    async def end(self, peer_id: str) -> bool:
        """End a session, and wait until its place is free; whether there was one."""
        peer = self._peers.get(peer_id)
        if peer is None:
            return False
        peer.end("the peer ended it", "peer")
        task = self._tasks.get(peer_id)
        if task is not None:
            await asyncio.wait([task], timeout=_CLOSE_S)
        return True

    async def close(self) -> None:
        """End all sessions."""
        for peer in self._peers.values():
            peer.end("the gateway ends", "gateway")
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()), timeout=_CLOSE_S)
        if self._reclaiming is not None:
            self._reclaiming.cancel()

    def _expect_room(self, role: Role, stream: str, address: str | None) -> StreamHandler:
        handler = self.handlers.get(stream)
        if handler is None:
            raise Refused(404, f"there is no stream {stream!r}; there are: {', '.join(self.handlers)}")
        if role == "publish" and handler.access.kind != "camera":
            raise Refused(
                409, f"stream {stream!r} has a source of its own; watch it, or send to a stream with source webrtc"
            )
        if role == "publish" and stream in self._publishing:
            raise Refused(409, f"stream {stream!r} has a camera already; stop it first")
        limit = self._settings.limits.peers
        if len(self) >= limit:
            raise Refused(503, f"there are {limit} peers, the most that are allowed; try again later")
        connecting = self._connecting_from(address)
        if connecting >= _half_of(limit):
            self._metrics.count("limit_connecting", stream=stream)
            raise Refused(
                503,
                f"{connecting} peers from your address have not connected yet, the most that are allowed; "
                f"try again in {self._settings.limits.connect_s:g} s",
            )
        return handler

    def _connecting_from(self, address: str | None) -> int:
        """How many peers of an address have a place and no connection: an offer is cheap, and may be all that comes."""
        client = client_of(address or "")
        return sum(not peer.has_connected and client_of(peer.address or "") == client for peer in self._peers.values())

    async def _run(self, peer: Peer) -> None:
        try:
            await peer.run()
            self._say("peer left", stream=peer.stream, role=peer.role, reason=peer.reason, **peer.figures())
        except Exception as error:  # of one peer, with aiortc's errors of all kinds: the others stay
            self._metrics.count("sessions_failed", stream=peer.stream)
            left_out = self._log.due("failed")
            if left_out is not None:
                _LOG.error("a session failed", stream=peer.stream, left_out=left_out, exc_info=error)
        finally:
            await self._forget(peer)

    async def _forget(self, peer: Peer) -> None:
        self._peers.pop(peer.id, None)
        self._tasks.pop(peer.id, None)
        if peer.role == "publish":
            self._publishing.discard(peer.stream)
        self._tell_number()
        await peer.close()
        self._reclaim_soon()

    def _reclaim_soon(self) -> None:
        """Give back what ended sessions held; once for those that end at about the same time."""
        if self._reclaiming is None:
            self._reclaiming = asyncio.get_running_loop().call_later(_RECLAIM_S, self._reclaim)

    def _reclaim(self) -> None:
        self._reclaiming = None
        reclaim()

    def _say(self, event: str, **fields: Any) -> None:
        left_out = self._log.due(event)
        if left_out is not None:
            _LOG.info(event, **fields, **({"left_out": left_out} if left_out else {}))

    def _log_cause(self, peer: Peer, cause: BaseException | None) -> None:
        """What lies behind a refusal is for the log: it is in the words of aiortc's inner parts."""
        left_out = None if cause is None else self._log.due("malformed")
        if left_out is not None:
            detail = f"{type(cause).__name__}: {cause}"[:_DETAIL_LENGTH]
            _LOG.info("an offer cannot be answered", stream=peer.stream, detail=detail, left_out=left_out)

    def _tell_number(self) -> None:
        self._metrics.queue("peers", len(self), self._settings.limits.peers)


def _half_of(limit: int) -> int:
    """So many places one address may take before it connects; the others are for everybody else."""
    return (limit + 1) // 2
