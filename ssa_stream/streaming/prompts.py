"""Prompts of a session and what changing them answers."""

from dataclasses import dataclass

from ssa_stream.errors import ConfigError

__all__ = ["Prompt", "PromptAck", "clean_text"]


@dataclass(frozen=True, slots=True)
class Prompt:
    """A sentence that a stream is searched for.

    Attributes:
        prompt_id: Name within the session.
        text: The sentence.
        version: Version of the session's prompts that brought it; two sentences never share one.
    """

    prompt_id: str
    text: str
    version: int


@dataclass(frozen=True, slots=True)
class PromptAck:
    """Answer to a change of prompts.

    Attributes:
        prompts: All prompts from now on.
        version: Version of the session's prompts.
        applies_from: Index of the first frame whose results follow the change.
    """

    prompts: tuple[Prompt, ...]
    version: int
    applies_from: int


def clean_text(text: str) -> str:
    """A sentence without surrounding white space.

    Raises:
        ConfigError: Not a sentence.
    """
    if not isinstance(text, str) or not text.strip():
        raise ConfigError(f"prompt is {text!r}; expected a sentence such as 'the person carrying the box'")
    return " ".join(text.split())
