"""Names of the nodes of a graph."""

from ssa_stream.errors import ConfigError

__all__ = ["BROKER", "DECODER", "GATEWAY", "MASKS", "ROLES", "ingest_name", "role_of", "stream_of", "worker_names"]

BROKER = "control"
"""The broker is the node `control` in messages of protocol 1, and in metrics."""
DECODER, MASKS = "decoder-0", "masks-0"
GATEWAY = "gateway-0"
"""Stands beside the graph of `ssa-stream serve` and says hello to its broker."""
ROLES = ("ingest", "encoder", "queries", "decoder", "masks")
"""From the beginning of the graph to its end."""


def ingest_name(stream: str) -> str:
    """The node that reads the source of a stream."""
    return f"ingest-{stream}"


def worker_names(role: str, count: int) -> tuple[str, ...]:
    """The nodes of a role that share its work."""
    return tuple(f"{role}-{number}" for number in range(count))


def role_of(name: str) -> str:
    """The role of a node.

    Raises:
        ConfigError: No node has that name.
    """
    role, separator, rest = name.partition("-")
    if name == GATEWAY:
        return role
    if role not in ROLES or not separator or not rest:
        raise ConfigError(f"node is {name!r}; expected one of {', '.join(ROLES)}, a dash, and a stream or number")
    return role


def stream_of(name: str) -> str:
    """The stream of an ingest node.

    Raises:
        ConfigError: It is another node.
    """
    if role_of(name) != "ingest":
        raise ConfigError(f"node is {name!r}; expected ingest-STREAM")
    return name.partition("-")[2]
