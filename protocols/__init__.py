"""Messages, topics and versions that the nodes speak. Empty until the node graph is there."""

__all__: list[str] = []
