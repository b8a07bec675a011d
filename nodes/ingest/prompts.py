"""Requests about prompts, and changes that the pipeline has planned."""

import sys
from collections import deque
from collections.abc import Sequence

from ssa_stream.errors import ConfigError
from ssa_stream.nodes.pipeline import PromptTexts, ScheduledPrompts
from ssa_stream.printable import printable_lines
from ssa_stream.protocols import (
    AddPrompt,
    ErrorCode,
    ErrorReply,
    ListPrompts,
    RemovePrompt,
    SetPrompts,
)
from ssa_stream.streaming.prompts import WIRE_ID, PromptBook

__all__ = ["PlannedChanges", "PromptRequest", "changed_book", "planned_book"]

PromptRequest = SetPrompts | AddPrompt | RemovePrompt | ListPrompts

_NO_LIMIT = sys.maxsize


def changed_book(request: PromptRequest, book: PromptBook, max_prompts: int) -> PromptBook | ErrorReply:
    """The prompts after a request, or why it is refused.

    Args:
        request: A list asks for no change and gives the same book; so does what changes nothing, such as a repeated
            request, so that versions tell changes.
        book: The prompts so far.
        max_prompts: Limit of their number.
    """
    try:
        changed = _apply(request, book)
    except ConfigError as error:
        code = ErrorCode.UNKNOWN_PROMPT if isinstance(request, RemovePrompt) else ErrorCode.INVALID
        return ErrorReply(code=code, text=printable_lines(str(error))[:1000], request_id=request.request_id)
    if len(changed.prompts) > max_prompts and changed is not book:
        text = f"{len(changed.prompts)} prompts; session.max_prompts allows {max_prompts}: remove some first"
        return ErrorReply(code=ErrorCode.TOO_MANY, text=text, request_id=request.request_id)
    return book if list(changed.sentences.items()) == list(book.sentences.items()) else changed


def _apply(request: PromptRequest, book: PromptBook) -> PromptBook:
    match request:
        case SetPrompts(prompts=prompts):
            pairs = [(prompt.id, prompt.text) for prompt in prompts]
            return book.set(pairs, max_prompts=_NO_LIMIT, id_rule=WIRE_ID)
        case AddPrompt(prompt=prompt):
            return book.add(prompt.text, prompt.id, max_prompts=_NO_LIMIT, id_rule=WIRE_ID)
        case RemovePrompt(prompt_id=prompt_id):
            return book.remove(prompt_id)
        case ListPrompts():
            return book


def planned_book(prompts: PromptTexts, book: PromptBook, max_prompts: int) -> PromptBook:
    """The prompts after a planned change.

    Raises:
        ConfigError: Too many, or an empty sentence.
    """
    return book.set(prompts, max_prompts=max_prompts, id_rule=WIRE_ID)


class PlannedChanges:
    """Changes of prompts at stream times, each made once.

    Args:
        changes: In any order.
    """

    def __init__(self, changes: Sequence[ScheduledPrompts]) -> None:
        self._due = deque(sorted(changes, key=lambda change: change.at_s))

    def __len__(self) -> int:
        return len(self._due)

    def until(self, t: float) -> list[ScheduledPrompts]:
        """The changes that come before a frame of stream time `t`, in order; they are not given again."""
        due = []
        while self._due and t >= self._due[0].at_s:
            due.append(self._due.popleft())
        return due

    def clear(self) -> None:
        """Nothing is planned any more."""
        self._due.clear()
