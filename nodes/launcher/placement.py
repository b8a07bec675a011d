"""Where the nodes of a graph run: what one process and several have in common."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

from ssa_stream.errors import SsaStreamError
from ssa_stream.nodes.broker import Broker, BrokerAddresses
from ssa_stream.nodes.pipeline import ROLES, role_of

__all__ = ["ROLE_SHARE", "OnFailure", "Placement", "in_order_of_work"]

ROLE_SHARE = 0.15
"""The nodes of a role may take this share of the time before those of the next one are asked to end, too."""

OnFailure = Callable[[Exception], None]
"""Told what ended a node for good; the graph is stopped then."""


class Placement(Protocol):
    """Runs the nodes of a graph."""

    @property
    def addresses(self) -> BrokerAddresses:
        """Where the broker is to listen to them."""

    @property
    def restarts(self) -> Mapping[str, int]:
        """Restarts so far, of nodes that were restarted."""

    def on_node_ready(self, name: str) -> None:
        """The broker has heard that a node takes work."""

    def missing(self) -> Mapping[str, str]:
        """Nodes that were not ready yet, and what keeps them."""

    async def run(self, broker: Broker, on_failure: OnFailure) -> None:
        """Run all nodes until `stop` was called and they have ended."""

    async def reload(self) -> tuple[str, tuple[str, ...]]:
        """Let all nodes take the weights that are there now; see `ssa_stream.nodes.broker.client_handler.Reload`."""

    async def stop(self, timeout_s: float) -> None:
        """End the nodes in the order of work, at the latest after that time."""

    def close(self) -> None:
        """Remove what they leave."""


def in_order_of_work(names: Iterable[str]) -> Iterator[list[str]]:
    """Nodes grouped by role, from those that read sources to those that write masks."""
    groups: dict[str, list[str]] = {role: [] for role in ROLES}
    for name in names:
        groups[role_of(name)].append(name)
    return (group for group in groups.values() if group)


def not_ready(missing: Mapping[str, str], timeout_s: float) -> SsaStreamError:
    """The error for a graph that did not get ready in time."""
    reasons = "; ".join(f"{name}: {why}" for name, why in missing.items())
    return SsaStreamError(
        f"{len(missing)} nodes were not ready within {timeout_s:g} s (health.start_timeout_s): {reasons}"
    )
