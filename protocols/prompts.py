"""Prompts: requests to change them, replies, and the published state."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from ssa_stream.protocols.fields import MAX_PROMPTS, Name, Note, PromptText, Whole
from ssa_stream.protocols.identity import AppliesFrom, Prompts, expect_plain_text
from ssa_stream.protocols.message import Message

__all__ = [
    "AddPrompt",
    "ListPrompts",
    "NewPrompt",
    "PromptReply",
    "PromptState",
    "RemovePrompt",
    "SetPrompts",
]


class NewPrompt(Struct, frozen=True, kw_only=True):
    """A sentence to search for.

    Attributes:
        text: The sentence.
        id: Its name; None keeps the id that the sentence has, or gives it a new one.
    """

    text: PromptText
    id: Name | None = None

    def __post_init__(self) -> None:
        expect_plain_text(self.text)


class SetPrompts(Message, frozen=True, kw_only=True, tag="set_prompts"):
    """Replace all prompts of a stream; those that stay the same keep their memory and tracks.

    Attributes:
        request_id: Returned with the answer.
        stream: Which stream.
        prompts: All prompts from now on.
    """

    request_id: Name
    stream: Name
    prompts: Annotated[tuple[NewPrompt, ...], Meta(max_length=MAX_PROMPTS)]


class AddPrompt(Message, frozen=True, kw_only=True, tag="add_prompt"):
    """Add a prompt, or give an existing id another sentence.

    Attributes:
        request_id: Returned with the answer.
        stream: Which stream.
        prompt: The prompt.
    """

    request_id: Name
    stream: Name
    prompt: NewPrompt


class RemovePrompt(Message, frozen=True, kw_only=True, tag="remove_prompt"):
    """Remove a prompt; the others are not disturbed.

    Attributes:
        request_id: Returned with the answer.
        stream: Which stream.
        prompt_id: Which prompt.
    """

    request_id: Name
    stream: Name
    prompt_id: Name


class ListPrompts(Message, frozen=True, kw_only=True, tag="list_prompts"):
    """Ask for the prompts of a stream.

    Attributes:
        request_id: Returned with the answer.
        stream: Which stream.
    """

    request_id: Name
    stream: Name


class PromptReply(Message, frozen=True, kw_only=True, tag="prompt_reply"):
    """The change was made, or the list that was asked for.

    Attributes:
        request_id: Of the request.
        stream: Which stream.
        prompts: All prompts now, in order of adding.
        version: Version of the stream's prompts; grows with every change.
        applies_from: First frame that they apply to.
        warnings: About prompts that are not read to their end, or have words that the checkpoint does not know;
            absent if there are none.
    """

    request_id: Name
    stream: Name
    prompts: Prompts
    version: Whole
    applies_from: AppliesFrom
    warnings: Annotated[tuple[Note, ...], Meta(max_length=MAX_PROMPTS)] | UnsetType = UNSET


class PromptState(Message, frozen=True, kw_only=True, tag="prompts"):
    """Published whenever the prompts of a stream change, and to late subscribers at once.

    Attributes:
        stream: Which stream.
        prompts: All prompts now, in order of adding.
        version: Version of the stream's prompts; grows with every change, and over restarts.
        applies_from: First frame that they apply to.
        by_client: Whether a client has just asked for the change; absent if the pipeline says or plans these prompts,
            or a node that was started again tells them again.
    """

    stream: Name
    prompts: Prompts
    version: Whole
    applies_from: AppliesFrom
    by_client: bool | UnsetType = UNSET
