"""The command line, `ssa-stream`: one module a command, and what they share. `main.main` is the console script."""

__all__: list[str] = []
