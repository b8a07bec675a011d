"""What commands that run a network say of it: which checkpoint, what it knows, in how many frames it found what."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from ssa_stream.addresses import is_synthetic
from ssa_stream.cli.views.console import notice, print_warning
from ssa_stream.found_frames import PromptFrames
from ssa_stream.input_warnings import InputWarning
from ssa_stream.knowledge import Knowledge, knowledge_of
from ssa_stream.printable import printable

if TYPE_CHECKING:
    from ssa_stream.nodes.pipeline import PipelineConfig

__all__ = ["ModelWords"]

_PROMPT_CHARACTERS = 60
_NAMED_PROMPTS = 5


@dataclass(frozen=True, slots=True)
class ModelWords:
    """Says on stderr what to expect of a checkpoint and what came of it.

    Attributes:
        knowledge: What it knows.
        is_synthetic: It will see made-up scenes of drawn shapes only.
    """

    knowledge: Knowledge
    is_synthetic: bool

    @classmethod
    def of_graph(cls, config: "PipelineConfig", *, is_drawn: bool = False) -> "ModelWords":
        """Of the checkpoint of a pipeline.

        Args:
            config: The pipeline.
            is_drawn: All its sources are drawn, though they may be files.
        Raises:
            CheckpointError: The checkpoint is not there.
        """
        knowledge = knowledge_of(config.model.checkpoint, random_weights=config.model.random_weights)
        return cls(knowledge, is_drawn or all(is_synthetic(stream.source) for stream in config.streams.values()))

    def introduce(self) -> None:
        """Print which checkpoint runs; in yellow what to expect of it, if it is not fit for what it will see."""
        head, _, rest = self.knowledge.introduction(is_synthetic=self.is_synthetic).partition(":")
        is_fit = self.knowledge.is_trained and (self.is_synthetic or self.knowledge.domain is None)
        colour = "" if is_fit else "yellow"
        notice(
            Text.assemble((f"{head}:", f"bold {colour}".strip()), (rest, colour)),
            event="checkpoint",
            level="info" if is_fit else "warning",
            name=self.knowledge.name,
            domain=self.knowledge.domain,
        )

    def hints(self, prompts: Iterable[str]) -> list[InputWarning]:
        """Print a warning for each sentence with words that the checkpoint lacks, and return them."""
        said = ((text, self.knowledge.hint(text)) for text in dict.fromkeys(prompts))
        hints = [InputWarning(f"prompt {_quoted(text)}", hint) for text, hint in said if hint is not None]
        for hint in hints:
            print_warning(hint)
        return hints

    def graph_hints(self, config: "PipelineConfig") -> None:
        """Print the same for all prompts of a pipeline, later ones too. The graph tells of them itself, again."""
        lists = [
            prompts
            for stream in config.streams.values()
            for prompts in (stream.prompts, *(change.prompts for change in stream.changes))
        ]
        self.hints(text for one in lists for text in (one.values() if isinstance(one, Mapping) else one))

    def found(self, streams: Mapping[str, Iterable[PromptFrames]], console: Console | None = None) -> None:
        """Print in how many frames each prompt had a target, what to do about those that had none, and what to doubt.

        Args:
            streams: By name; with one stream the name is left out.
            console: Where to; None: stderr.
        """
        found: Sequence[tuple[str, PromptFrames]] = [
            (name, prompt) for name, prompts in sorted(streams.items()) for prompt in prompts
        ]
        for name, prompt in found:
            stream = f"{name} " if len(streams) > 1 else ""
            line = f"{stream}{_quoted(prompt.text)}: target found in {prompt.found} of {prompt.frames} frames"
            notice(Text(line), event="found", console=console, stream=name, frames=prompt.frames, found=prompt.found)
        if not found:
            notice("no frame got masks, so no target was found", event="found", console=console)
            return
        if not self.knowledge.is_trained:  # its masks mean nothing, nor does their absence
            return
        lacking = [
            f"{name} {_quoted(prompt.text)}" if len(streams) > 1 else _quoted(prompt.text)
            for name, prompt in found
            if not prompt.found
        ]
        if lacking:
            advice = self.knowledge.advice(is_synthetic=self.is_synthetic)
            is_nothing = len(lacking) == len(found)
            verb = "was" if len(lacking) == 1 else "were"
            what = "nothing found" if is_nothing else f"{_listed(lacking)} {verb} not found"
            event = "nothing found" if is_nothing else "not found"
            text = Text(f"{what}: {advice}", "yellow")
            notice(text, event=event, level="warning", console=console, prompts=lacking)
        caveat = self.knowledge.caveat(is_synthetic=self.is_synthetic)
        if caveat is not None and len(lacking) < len(found):
            notice(Text(caveat, "yellow"), event="found elsewhere", level="warning", console=console)


def _listed(names: Sequence[str]) -> str:
    """The first names of a list, and how many more there are."""
    more = len(names) - _NAMED_PROMPTS
    return ", ".join(names[:_NAMED_PROMPTS]) + (f" and {more} more" if more > 0 else "")


def _quoted(text: str) -> str:
    """A sentence as it is named in a line."""
    plain = printable(text)
    return f'"{plain if len(plain) <= _PROMPT_CHARACTERS else plain[: _PROMPT_CHARACTERS - 1] + "…"}"'
