"""What `ssa-stream doctor` looks at, and how it judges."""

__all__: list[str] = []
