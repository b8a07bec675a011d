"""What the commands show on the terminal: lines, tables, progress."""

__all__: list[str] = []
