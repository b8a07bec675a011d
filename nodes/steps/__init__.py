"""What the nodes that run the network do with a frame, apart from waiting and sending."""

__all__: list[str] = []
