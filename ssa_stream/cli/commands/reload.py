"""`ssa-stream reload`: other weights for a running graph."""

from typing import Annotated

import typer

from ssa_stream.cli.options.graph import Keys
from ssa_stream.cli.views.console import output, print_json

__all__ = ["reload"]

_SHOWN = 12


def reload(
    address: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where the graph takes requests; it prints that when it is ready.")
    ] = "tcp://127.0.0.1:5556",
    keys: Keys = None,
    timeout_s: Annotated[
        float, typer.Option("--timeout", min=0.01, metavar="SECONDS", help="Longest wait for an answer.")
    ] = 180.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Let all nodes of a running graph take the weights that are in its checkpoint's file now.

    The file is loaded once to try it. If it does not load or holds another network, the graph goes on as before. Else
    all nodes that have weights are started again together; sources and prompts stay. A graph in one process (placement
    fused) cannot do it. Exit codes: 0 done, 1 no answer or another
    reload is under way, 2 refused.
    """
    from ssa_stream.client import reload_weights

    answer = reload_weights(address, timeout_s=timeout_s, keys=keys)
    if as_json:
        print_json({"weights": answer.fingerprint, "nodes": list(answer.nodes)})
        return
    known = answer.fingerprint[:_SHOWN]
    started = f"started again: {', '.join(answer.nodes)}" if answer.nodes else "all nodes had them already"
    output().print(f"weights {known}; {started}", markup=False)
