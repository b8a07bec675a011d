"""What the steps minimise: losses, and what goes before them."""

__all__: list[str] = []
