"""Stages that train CLIP from nothing."""

__all__: list[str] = []
