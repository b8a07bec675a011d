"""The graph of nodes: a folder for each node, the broker, the gateway, the launcher, and what they share."""

__all__: list[str] = []
