"""What only `ssa-tiny` needs, and nothing else knows: see docs/training.md."""

__all__: list[str] = []
