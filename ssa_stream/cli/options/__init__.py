"""Options that several commands share, and what they turn into: a model, a changed pipeline."""

__all__: list[str] = []
