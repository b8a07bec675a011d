"""Answers about long prompts are kept, and not without end."""

from collections.abc import Callable
from typing import Any

from ssa_stream.nodes.ingest import prompt_check
from ssa_stream.nodes.ingest.prompt_check import PromptCheck


class _Executor:
    """Notes which prompts are looked at for their length."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def run(self, work: Callable[..., object], _section: object, text: str) -> None:
        """Nothing is wrong with any prompt."""
        if work is prompt_check._cut_off:
            self.asked.append(text)


async def test_only_the_newest_long_prompts_are_remembered() -> None:
    """However many a client sends; one that comes again soon is not looked at again."""
    executor: Any = _Executor()
    section: Any = None
    check = PromptCheck(section, executor)
    texts = [f"the {'very ' * 20}red circle {number}" for number in range(150)]
    assert await check.warnings(("p1", text) for text in texts) == {}
    await check.warnings([("p1", texts[-1])])
    assert executor.asked == texts
    await check.warnings([("p1", texts[0])])
    assert executor.asked == [*texts, texts[0]]
