"""What a training run does, as data."""

__all__: list[str] = []
