"""One runnable node a file. Empty until the node graph is there; `ssa-stream run` is one process so far."""

__all__: list[str] = []
