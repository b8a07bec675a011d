"""What the steps train on."""

__all__: list[str] = []
