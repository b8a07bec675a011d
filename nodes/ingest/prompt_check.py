"""Which prompts are longer than CLIP reads, or have words that the checkpoint does not know."""

import asyncio
from collections.abc import Iterable

from ssa_stream.errors import CheckpointError
from ssa_stream.knowledge import knowledge_of
from ssa_stream.nodes.pipeline import ModelSection
from ssa_stream.nodes.runtime.executor import ModelExecutor
from ssa_stream.nodes.runtime.weights import network_config

__all__ = ["PromptCheck", "length_warning"]

_NEVER_LONG_BYTES = 75
"""No token of CLIP is less than a byte, and its text towers take 77, those of beginning and end included."""
_MOST_CHARACTERS = 1000
"""Of a text in a message."""
_MOST_KNOWN = 100
"""Long prompts whose answer is kept: clients may send as many as they like."""


class PromptCheck:
    """Looks for what a network will not understand. For a long prompt it loads the tokenizer, which takes seconds.

    Args:
        section: The network, which says how many tokens it takes and what it knows.
        executor: Where that is done.
    """

    def __init__(self, section: ModelSection, executor: ModelExecutor) -> None:
        self._section, self._executor = section, executor
        self._known: dict[str, str | None] = {}
        self._turn = asyncio.Lock()

    async def warnings(self, prompts: Iterable[tuple[str, str]]) -> dict[str, str]:
        """What to say of the prompts that are not understood to their end, by id.

        Args:
            prompts: Ids and sentences.
        """
        found = {}
        for name, text in prompts:
            cut_off = await self._cut_off(text) if _may_be_long(text) else None
            said = "; ".join(filter(None, (cut_off, await self._executor.run(_hint, self._section, text))))
            if said:
                found[name] = f"prompt {name}: {said}"[:_MOST_CHARACTERS]
        return found

    async def _cut_off(self, text: str) -> str | None:
        async with self._turn:
            if text not in self._known:
                if len(self._known) >= _MOST_KNOWN:
                    del self._known[next(iter(self._known))]
                self._known[text] = await self._executor.run(_cut_off, self._section, text)
            return self._known[text]


def length_warning(section: ModelSection, text: str) -> str | None:
    """What to say of a prompt that the network does not read to its end; None of another one.

    Raises:
        ConfigError: There is no such network.
        CheckpointError: The checkpoint cannot be read.
    """
    return _cut_off(section, text) if _may_be_long(text) else None


def _may_be_long(text: str) -> bool:
    return len(text.encode()) > _NEVER_LONG_BYTES


def _cut_off(section: ModelSection, text: str) -> str | None:
    from ssa_stream.model.clip import context_length, cut_off

    return cut_off(text, context_length(network_config(section).clip))


def _hint(section: ModelSection, text: str) -> str | None:
    """About words that the checkpoint does not know."""
    try:
        return knowledge_of(section.checkpoint, random_weights=section.random_weights).hint(text)
    except CheckpointError:  # it is away for a moment, or for good: that is told where weights are loaded
        return None
