"""What published stages train on: clips with sentences and masks."""

__all__: list[str] = []
