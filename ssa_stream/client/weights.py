"""Asks a running graph for other weights."""

from pathlib import Path

import zmq

from ssa_stream.client.exchange import Exchange, ReloadedWeights, reloaded_weights
from ssa_stream.client.prompts import DEFAULT_REQUESTS_ADDRESS
from ssa_stream.client.sockets import ask, connect, request_socket
from ssa_stream.errors import ConfigError
from ssa_stream.keys import ClientKeys, client_keys
from ssa_stream.protocols import ReloadWeights

__all__ = ["reload_weights"]

DEFAULT_TIMEOUT_S = 180.0
"""The file is loaded once to try it, and then by all nodes."""


def reload_weights(
    address: str = DEFAULT_REQUESTS_ADDRESS,
    *,
    timeout_s: float = DEFAULT_TIMEOUT_S,
    keys: ClientKeys | str | Path | None = None,
) -> ReloadedWeights:
    """Let all nodes of a graph take the weights that are in the checkpoint's file now, and wait until they have.

    Args:
        address: Where the graph takes requests.
        timeout_s: How long it may take.
        keys: For a graph that takes in known clients only: the client's folder, see `ssa-stream keys`.
    Raises:
        ConfigError: Not an address, or the graph refuses: the file does not load or holds another network, or the graph
            cannot do it. It goes on as before.
        TransportError: Nobody answers in time, or another reload is under way.
    """
    if not timeout_s > 0:
        raise ConfigError(f"timeout_s is {timeout_s!r}; expected more than 0")
    known, context = client_keys(keys), zmq.Context()
    try:
        with request_socket(context, address, known) as socket:
            connect(socket, address)
            return ask(socket, Exchange(ReloadWeights(request_id=""), address, timeout_s, reloaded_weights))
    finally:
        context.destroy(linger=0)
