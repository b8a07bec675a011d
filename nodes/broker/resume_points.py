"""Where a stream begins, and where it goes on after the node that ingests it was restarted."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from ssa_stream.nodes.pipeline import PromptTexts
from ssa_stream.protocols import Prompt, PromptState, SourceState, StartStream

__all__ = ["FirstPrompts", "ResumePoints", "first_prompts", "next_number"]

_OVER = frozenset({"ended", "stopped", "failed"})


@dataclass(frozen=True, slots=True)
class FirstPrompts:
    """With what a stream begins.

    Attributes:
        prompts: In order of adding.
        version: Of the stream's prompts.
        next_number: For the next one without a name.
    """

    prompts: tuple[Prompt, ...]
    version: int
    next_number: int


class ResumePoints:
    """What an ingest node of one stream must know at each start, from what the earlier one said last.

    Args:
        stream: Its name.
        prompts: As the pipeline has them.
        first: As an earlier graph left them; None if that left nothing.
    """

    def __init__(self, stream: str, prompts: PromptTexts, first: FirstPrompts | None = None) -> None:
        self._stream = stream
        if first is None:
            texts, number = first_prompts(prompts)
            first = FirstPrompts(texts, 1 if texts else 0, number)
        self._prompts, self._version, self._next_prompt_number = first.prompts, first.version, first.next_number
        self._source: SourceState | None = None
        self._last_epoch: int | None = None

    def saw_source(self, state: SourceState) -> None:
        """Remember how far the stream is."""
        self._source = state
        self._last_epoch = max(state.epoch, self._last_epoch or 0)
        self._next_prompt_number = max(self._next_prompt_number, state.next_prompt_number)

    def saw_prompts(self, state: PromptState) -> None:
        """Remember the prompts."""
        if state.version >= self._version:
            self._prompts, self._version = state.prompts, state.version

    def asked_to_recover(self) -> None:
        """The node was told to begin another epoch. It may end before it has said that it did."""
        self._last_epoch = (self._last_epoch or 0) + 1

    def while_away(self, at_ns: int, clock: str) -> SourceState | None:
        """The state to publish while the node is not there; None if it never said one, or the source was at an end."""
        if self._source is None or self._source.status in _OVER:
            return None
        text = "the node that reads it was lost and is started again"
        return msgspec.structs.replace(
            self._source,
            status="starting",
            at_ns=at_ns,
            clock=clock,
            rate_hz=None,
            text=text,
            code=None,
            attempt=0,
            retry_in_s=None,
        )

    def next_start(self) -> StartStream:
        """Where the next start of the node begins. Every call opens another epoch."""
        source = self._source
        self._last_epoch = 0 if self._last_epoch is None else self._last_epoch + 1
        return StartStream(
            stream=self._stream,
            epoch=self._last_epoch,
            next_index=0 if source is None else source.next_index,
            # A live source is connected anew: what was seen before says nothing about what comes.
            memory=0 if source is None else source.memory + int(source.live),
            prompts=self._prompts,
            version=self._version,
            next_prompt_number=self._next_prompt_number,
            frames_done=0 if source is None else source.frames_done,
        )


def first_prompts(texts: PromptTexts) -> tuple[tuple[Prompt, ...], int]:
    """Prompts as the pipeline names them, and the number for the next one without a name.

    Equal to the first change of a session's prompts: sentences get `p1`, `p2` and so on, and version 1.
    """
    if isinstance(texts, dict):
        named = {name: _clean(text) for name, text in texts.items()}
    else:
        named = {f"p{number}": _clean(text) for number, text in enumerate(texts, start=1)}
    prompts = tuple(Prompt(id=name, text=text, version=1) for name, text in named.items())
    return prompts, next_number(named)


def next_number(names: Iterable[str]) -> int:
    """The number of the next prompt without a name, after prompts of these names."""
    return max((int(name[1:]) for name in names if re.fullmatch(r"p[0-9]{1,9}", name)), default=0) + 1


def _clean(text: str) -> str:
    return " ".join(text.split())
