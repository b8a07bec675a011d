"""The published losses of SSA, from the forward in training to the total."""

__all__: list[str] = []
