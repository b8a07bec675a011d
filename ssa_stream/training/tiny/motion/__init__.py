"""Stages that teach the video decoder how things move."""

__all__: list[str] = []
