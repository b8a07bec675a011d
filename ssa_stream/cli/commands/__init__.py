"""The commands of `ssa-stream`, one module each."""

__all__: list[str] = []
