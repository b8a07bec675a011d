"""In how many frames each prompt had a target: what a run, a graph and a summary say of it."""

from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["FoundFrames", "PromptFrames"]

_MOST_PROMPTS = 1000
"""Prompts change for months; the oldest are forgotten."""


class PromptFrames(NamedTuple):
    """What came of one prompt.

    Attributes:
        prompt_id: Its id.
        text: The sentence.
        frames: Frames with final masks of it, empty ones too.
        found: Those that had a target.
    """

    prompt_id: str
    text: str
    frames: int = 0
    found: int = 0


class FoundFrames:
    """Counts of the prompts of one stream. A prompt that got another sentence counts anew."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], PromptFrames] = {}

    def count(self, prompt_id: str, text: str, *, has_target: bool) -> None:
        """Count a frame with final masks of a prompt."""
        key = prompt_id, text
        known = self._counts.get(key) or PromptFrames(prompt_id, text)
        if key not in self._counts and len(self._counts) >= _MOST_PROMPTS:
            del self._counts[next(iter(self._counts))]
        self._counts[key] = known._replace(frames=known.frames + 1, found=known.found + has_target)

    def __iter__(self) -> Iterator[PromptFrames]:
        """All prompts, in the order of their first masks."""
        return iter(self._counts.values())

    def to_list(self) -> list[dict[str, object]]:
        """Plain values, for JSON."""
        return [
            {"id": one.prompt_id, "text": one.text, "frames": one.frames, "found_frames": one.found} for one in self
        ]
