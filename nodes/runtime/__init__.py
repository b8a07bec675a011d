"""What all nodes share: sockets, signals, lifecycle. Empty until the node graph is there."""

__all__: list[str] = []
