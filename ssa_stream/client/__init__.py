"""What a subscriber imports, on a machine without torch. Empty until the node graph publishes masks."""

__all__: list[str] = []
