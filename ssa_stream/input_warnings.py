"""Warnings about what came in: a source, a prompt or a data set that is incomplete, said the same way everywhere.

What knows of one gives it as an `InputWarning`. `ssa-stream run`, `up` and `eval` print it as one line at the end, have
it in their JSON, and with `--strict` end with exit code 1; a graph publishes it as an event of kind `input_warning`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ssa_stream.errors import IncompleteInputError

__all__ = ["InputWarning", "require_complete", "source_warnings"]


@dataclass(frozen=True, slots=True)
class InputWarning:
    """Something that came in and was not all used, or is not all there.

    Attributes:
        about: What it is about, such as `source street.mp4`, `prompt p1`, `video v7`.
        text: What is wrong with it, without a full stop.
    """

    about: str
    text: str

    def __str__(self) -> str:
        return f"{self.about}: {self.text}"

    def to_mapping(self) -> dict[str, str]:
        """Plain values, for JSON."""
        return {"about": self.about, "text": self.text}


def source_warnings(source: object, name: str) -> list[InputWarning]:
    """What a source knows to be wrong with what it has read so far.

    Args:
        source: Has `warnings`, sentences, if it can tell.
        name: Of the source, without secrets.
    """
    texts: Sequence[str] = getattr(source, "warnings", ())
    return [InputWarning(f"source {name}", text) for text in texts]


def require_complete(warnings: Iterable[InputWarning]) -> None:
    """What `--strict` does, when all outputs are written.

    Raises:
        IncompleteInputError: There is a warning.
    """
    texts = [str(warning) for warning in warnings]
    if texts:
        raise IncompleteInputError(f"the input is incomplete (--strict): {'; '.join(texts)}")
