"""The gateway's process: HTTP for the page and for WHIP and WHEP, and everything behind it."""

import asyncio
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import aioice.ice
import structlog
import zmq.asyncio
from aiohttp import web

from ssa_stream.errors import TransportError
from ssa_stream.nodes.gateway.graph_link import GraphLink
from ssa_stream.nodes.gateway.http.app import make_app
from ssa_stream.nodes.gateway.http.tls import tls_context
from ssa_stream.nodes.gateway.pictures.cameras import Cameras
from ssa_stream.nodes.gateway.pictures.feed import Pictures
from ssa_stream.nodes.gateway.settings import ControlAccess, GatewaySettings
from ssa_stream.nodes.gateway.streams import StreamHandler
from ssa_stream.nodes.gateway.wall import Wall
from ssa_stream.nodes.gateway.webrtc.peers import Peers
from ssa_stream.nodes.pipeline import GATEWAY, role_of
from ssa_stream.nodes.runtime.broker_link import BrokerLink, LinkTimes
from ssa_stream.nodes.runtime.clock import Clock, MonotonicClock
from ssa_stream.nodes.runtime.http.door import Door
from ssa_stream.nodes.runtime.http.server import bound, served
from ssa_stream.nodes.runtime.metrics import NodeMetrics
from ssa_stream.nodes.runtime.tasks import wait_for_event
from ssa_stream.protocols import ErrorReply, MaskMessage, PromptState, SourceRequest, SourceState, StreamLoad
from ssa_stream.standard_streams import lines_lost

__all__ = ["report", "run_gateway", "run_while_watched"]

_LINGER_S = 3.0
_RETRY_S = 0.5


async def run_while_watched(handler: StreamHandler, linger_s: float = _LINGER_S) -> None:
    """Stop the source of a stream when nobody uses it, start it when somebody does; until cancelled.

    Args:
        handler: The stream.
        linger_s: How long it goes on after the last one left.
    """
    is_running = True  # so it was begun
    while True:
        handler.users_changed.clear()
        is_wanted = handler.users > 0
        if is_running and not is_wanted:
            await wait_for_event(handler.users_changed, linger_s)
            if handler.users:
                continue
        if is_running != is_wanted:
            if not await _order(handler, start=is_wanted):
                await asyncio.sleep(_RETRY_S)  # the graph may not be ready yet
                continue
            is_running = is_wanted
        await handler.users_changed.wait()


async def _order(handler: StreamHandler, *, start: bool) -> bool:
    """Whether the graph did it."""
    try:
        answer = await handler.ask(
            SourceRequest(request_id="", stream=handler.name, action="start" if start else "stop")
        )
    except TransportError:
        return False
    return not isinstance(answer, ErrorReply)


_AGAIN_S = 1.0
_LOG = structlog.get_logger()


async def report(
    control: ControlAccess,
    metrics: NodeMetrics,
    incarnation: int,
    clock: Clock,
    unless: Callable[[], str] = str,
) -> None:
    """Send heartbeats and statistics until cancelled.

    Unlike a node of the graph the gateway does not end when the broker is silent: its peers keep what they have, and it
    says hello again.

    Args:
        control: Where to.
        metrics: Of the gateway.
        incarnation: Another number for every start of it.
        clock: Of all times.
        unless: Why nobody can come just now; empty if somebody can.
    """
    times = LinkTimes(heartbeat_s=control.heartbeat_s, heartbeat_timeout_s=control.heartbeat_timeout_s)
    context = zmq.asyncio.Context()
    try:
        while True:
            is_lost = asyncio.Event()
            link = BrokerLink(
                context, control.address, metrics, name=GATEWAY, role=role_of(GATEWAY),
                incarnation=incarnation, clock=clock, stop=is_lost, times=times,
            )  # fmt: skip
            try:
                async with link:
                    link.mark_ready(unless)
                    await is_lost.wait()
            except TransportError as error:
                _LOG.warning("the broker is not told how the gateway fares", error=str(error))
            await asyncio.sleep(_AGAIN_S)
    finally:
        context.destroy()


_FILES, _FILES_OF_A_PEER = 32, 12
"""Descriptors that HTTP leaves: to the gateway itself, and to each peer, for whom every address needs a socket."""
_PAGE = Path(str(files("ssa_stream.nodes.gateway").joinpath("page")))


async def run_gateway(
    settings: GatewaySettings,
    stop: asyncio.Event,
    on_page: Callable[[str], None] = lambda url: None,
    *,
    incarnation: int = 0,
) -> None:
    """Serve until `stop` is set.

    Args:
        settings: What it is to do.
        stop: Ends it in order.
        on_page: Called with the address of the page once it is served.
        incarnation: Another number for every start of the gateway, growing.
    Raises:
        ConfigError: A certificate cannot be read.
        TransportError: The port is taken.
    """
    if settings.loopback_media:
        # aioice leaves loopback out; there is no setting for it.
        aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]
    cameras = Cameras([name for name, one in settings.streams.items() if one.kind == "camera"], settings.cameras_socket)
    handlers: dict[str, StreamHandler] = {}
    clock, control = MonotonicClock(), settings.control
    metrics = NodeMetrics(GATEWAY, role_of(GATEWAY), incarnation, clock, lines_lost=lines_lost)

    def hand_over(
        message: MaskMessage | PromptState | SourceState | StreamLoad, buffers: tuple[memoryview, ...]
    ) -> None:
        handler = handlers.get(message.frame.stream if isinstance(message, MaskMessage) else message.stream)
        if handler is not None:
            handler.take(message, buffers)

    link = GraphLink(settings.publish, settings.requests, settings.streams, hand_over, metrics, settings.client_keys)
    for name, access in settings.streams.items():
        handlers[name] = StreamHandler(name, access, cameras, link.ask, settings.limits.mask_bytes, metrics)
    try:
        async with asyncio.TaskGroup() as group:
            peers = Peers(settings, handlers, cameras, group, metrics)
            pictures = Pictures({name: handler.feed for name, handler in handlers.items()}, settings.pictures_socket)
            wall = Wall(handlers, settings.wall, metrics)
            scenes = [run_while_watched(handler) for handler in handlers.values() if handler.access.kind == "scene"]
            tasks = [group.create_task(one) for one in (link.run(), cameras.run(), pictures.run(), wall.run(), *scenes)]

            def on_served(url: str, door: Door) -> None:
                """From now on peers can come: that is what ready means."""
                if control is not None:
                    tasks.append(group.create_task(report(control, metrics, incarnation, clock, lambda: door.shut)))
                on_page(url)

            try:
                await _serve(settings, make_app(settings, peers, wall, _PAGE, metrics), metrics, stop, on_served)
            finally:
                await peers.close()
                for task in tasks:
                    task.cancel()
    finally:
        link.close()


async def _serve(
    settings: GatewaySettings,
    app: web.Application,
    metrics: NodeMetrics,
    stop: asyncio.Event,
    on_served: Callable[[str, Door], None],
) -> None:
    cert, key = settings.tls_cert, settings.tls_key
    tls = None if cert is None or key is None else tls_context(cert, key)
    listeners = await bound(settings.host, settings.port, advice="choose another --port")
    host, port = listeners[0].getsockname()[:2]
    kept_files = _FILES + _FILES_OF_A_PEER * settings.limits.peers
    async with served(app, listeners, settings.http, metrics.count, tls=tls, kept_files=kept_files) as door:
        scheme = "https" if settings.tls_cert else "http"
        shown = f"[{host}]" if ":" in str(host) else host
        url = f"{scheme}://{shown}:{port}/"
        _LOG.info("page", url=url)
        on_served(url, door)
        await stop.wait()
