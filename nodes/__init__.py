"""One runnable node a file; what they share is in the folders beside them."""

__all__: list[str] = []
