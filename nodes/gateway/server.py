"""The gateway's process: HTTP for the page and for WHIP and WHEP, and everything behind it."""

import asyncio
import ssl
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import aioice.ice
import structlog
from aiohttp import web

from ssa_stream.errors import ConfigError, TransportError
from ssa_stream.nodes.gateway.cameras import Cameras
from ssa_stream.nodes.gateway.graph_link import GraphLink
from ssa_stream.nodes.gateway.http import make_app
from ssa_stream.nodes.gateway.pausing import run_while_watched
from ssa_stream.nodes.gateway.peers import Peers
from ssa_stream.nodes.gateway.pictures import Pictures
from ssa_stream.nodes.gateway.reporting import report
from ssa_stream.nodes.gateway.settings import GatewaySettings
from ssa_stream.nodes.gateway.streams import StreamDesk
from ssa_stream.nodes.pipeline import GATEWAY, role_of
from ssa_stream.nodes.runtime.clock import MonotonicClock
from ssa_stream.nodes.runtime.metrics import NodeMetrics
from ssa_stream.protocols import MaskMessage, PromptState, SourceState

__all__ = ["run_gateway"]

_LOG = structlog.get_logger()
_SHUTDOWN_S = 1.0
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
    desks: dict[str, StreamDesk] = {}
    clock, control = MonotonicClock(), settings.control
    metrics = NodeMetrics(GATEWAY, role_of(GATEWAY), incarnation, clock)

    def hand_over(message: MaskMessage | PromptState | SourceState, buffers: tuple[memoryview, ...]) -> None:
        desk = desks.get(message.frame.stream if isinstance(message, MaskMessage) else message.stream)
        if desk is not None:
            desk.take(message, buffers)

    link = GraphLink(settings.publish, settings.requests, settings.streams, hand_over, metrics, settings.client_keys)
    for name, access in settings.streams.items():
        desks[name] = StreamDesk(name, access, cameras, link.ask, settings.limits.mask_bytes, metrics)
    try:
        async with asyncio.TaskGroup() as group:
            peers = Peers(settings, desks, cameras, group, metrics)
            pictures = Pictures({name: desk.feed for name, desk in desks.items()}, settings.pictures_socket)
            scenes = [run_while_watched(desk) for desk in desks.values() if desk.access.kind == "scene"]
            tasks = [group.create_task(one) for one in (link.run(), cameras.run(), pictures.run(), *scenes)]

            def served(url: str) -> None:
                """From now on peers can come: that is what ready means."""
                if control is not None:
                    tasks.append(group.create_task(report(control, metrics, incarnation, clock)))
                on_page(url)

            try:
                await _serve(settings, make_app(settings, peers, _PAGE, metrics), stop, served)
            finally:
                await peers.close()
                for task in tasks:
                    task.cancel()
    finally:
        link.close()


async def _serve(
    settings: GatewaySettings, app: web.Application, stop: asyncio.Event, on_page: Callable[[str], None]
) -> None:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_S)
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.host, settings.port, ssl_context=_tls(settings))
        try:
            await site.start()
        except OSError as error:
            raise TransportError(
                f"cannot listen at {settings.host}:{settings.port} ({error.strerror}); choose another --port"
            ) from error
        host, port = runner.addresses[0][:2]
        scheme = "https" if settings.tls_cert else "http"
        shown = f"[{host}]" if ":" in str(host) else host
        url = f"{scheme}://{shown}:{port}/"
        _LOG.info("page", url=url)
        on_page(url)
        await stop.wait()
    finally:
        await runner.cleanup()


def _tls(settings: GatewaySettings) -> ssl.SSLContext | None:
    if settings.tls_cert is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"cannot use the certificate {settings.tls_cert} with its key: {error}") from error
    return context
