"""Health and metrics of a graph over HTTP, beside the commands that run one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ssa_stream.cli.views.graph_view import GraphView
    from ssa_stream.nodes.launcher import Graph

__all__ = ["served_health"]


@asynccontextmanager
async def served_health(graph: "Graph", address: str | None, view: "GraphView") -> AsyncIterator[None]:
    """Serve the graph's health from before it is ready until it has ended.

    Args:
        graph: Not yet run.
        address: `HOST:PORT`; None serves nothing.
        view: Told where it is served.
    Raises:
        ConfigError: Other machines could reach the address.
        TransportError: It is taken.
    """
    if address is None:
        yield
        return
    from ssa_stream.nodes.health.server import HttpAddress, serve_health

    async with serve_health(HttpAddress.parse(address, insecure=graph.config.public.insecure), graph) as url:
        view.serving(url)
        yield
