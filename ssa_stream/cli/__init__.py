"""The command line, `ssa-stream`: `main.main` is the console script, `commands/` has one module a command."""

__all__: list[str] = []
