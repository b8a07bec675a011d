"""Pictures of objects as answers, a label an object: stored ones, and ones painted from a picture a sentence."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from ssa_stream.data.reading import read_labels
from ssa_stream.data.ref_davis17 import ANNOTATORS
from ssa_stream.data.referring import ReferringExpression
from ssa_stream.errors import ConfigError
from ssa_stream.evaluation.score.answers import listed

__all__ = ["LabelAnswers", "LabelPicture", "PaintedAnswers", "StoredAnswers"]

_NAMED_IN: Final = "the data set"


class LabelPicture(NamedTuple):
    """One frame of an answer.

    Attributes:
        labels: `(H, W)` uint8, empty where nothing could be read.
        problem: What the published tool stops at; empty if nothing.
    """

    labels: npt.NDArray[np.uint8]
    problem: str = ""

    def highest(self, at_most: int) -> int:
        """The highest label that is no more than `at_most`."""
        return int(self.labels[self.labels <= at_most].max(initial=0))


class LabelAnswers(Protocol):
    """One annotator's answer to one video."""

    @property
    def problems(self) -> Sequence[str]:
        """What the published tools stop at before they look at frames."""

    @property
    def note(self) -> str:
        """What they go wrong with and do not stop at; empty if nothing."""

    def read(self, frame: str, size: tuple[int, ...]) -> LabelPicture:
        """Read one frame; what is not of this size is a problem, and empty."""


class StoredAnswers:
    """Pictures of objects in a folder."""

    note = ""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.problems: tuple[str, ...] = () if folder.is_dir() else ("there is no folder of the video",)

    def read(self, frame: str, size: tuple[int, ...]) -> LabelPicture:
        """See `LabelAnswers`."""
        if self.problems:
            return LabelPicture(np.zeros(size, np.uint8))
        return _read(self._folder / f"{frame}.png", size)


class PaintedAnswers:
    """Pictures of objects, painted from one picture a sentence: where objects overlap, the first one wins.

    Args:
        layers: Label and folder of each sentence.
        problems: See `LabelAnswers`.
        note: See `LabelAnswers`.
    """

    def __init__(self, layers: Sequence[tuple[int, Path]], problems: Sequence[str] = (), note: str = "") -> None:
        self._layers = layers
        self.problems = tuple(problems)
        self.note = note

    @classmethod
    def as_meant(cls, folder: Path, expressions: Sequence[ReferringExpression]) -> "list[PaintedAnswers]":
        """Sentence `4 * i + k` is annotator `k`'s of object `i`."""
        numbers = sorted(int(one.expression_id) for one in expressions)
        layers = [(number // ANNOTATORS + 1, folder / str(number)) for number in numbers]
        return [
            cls([layer for number, layer in zip(numbers, layers, strict=True) if number % ANNOTATORS == k])
            for k in range(ANNOTATORS)
        ]

    @classmethod
    def as_published(cls, folder: Path, meant: "Sequence[PaintedAnswers]") -> "list[PaintedAnswers]":
        """As SSA's script does it: sentences are numbered in the order of the folders that are there.

        Where all are there, these are the answers as they are meant.
        """
        if not folder.is_dir():
            return [cls((), ["there is no folder of the video"]) for _ in meant]
        names = [name for name in listed(folder) if (folder / name).is_dir()]
        wrong = [name for name in names if not name.isdecimal()]
        if wrong:
            return [cls((), [f"the folder {wrong[0]!r} is no number of a sentence"]) for _ in meant]
        folders = [folder / name for name in sorted(names, key=int)]
        expected = {path for answer in meant for _, path in answer._layers}
        if expected == set(folders):
            return list(meant)
        note = _difference(expected, set(folders))
        published = []
        for k in range(ANNOTATORS):
            layers = [(i // ANNOTATORS + 1, folders[i]) for i in range(k, len(folders), ANNOTATORS)]
            problems = [] if layers else ["there are no folders of its sentences"]
            published.append(cls(layers, problems, note))
        return published

    def read(self, frame: str, size: tuple[int, ...]) -> LabelPicture:
        """See `LabelAnswers`."""
        labels, problem = np.zeros(size, np.uint8), ""
        for label, folder in self._layers:
            layer = _read(folder / f"{frame}.png", size)
            problem = problem or layer.problem
            labels[(labels == 0) & (layer.labels > 0)] = min(label, 255)
        return LabelPicture(labels, problem)


def _difference(expected: set[Path], there: set[Path]) -> str:
    parts = []
    for what, paths in (("are missing", expected - there), ("are not of the data set", there - expected)):
        if paths:
            names = sorted((path.name for path in paths), key=int)
            parts.append(f"the folders {', '.join(names[:5])}{' ...' if len(names) > 5 else ''} {what}")
    return " and ".join(parts)


def _read(path: Path, size: tuple[int, ...]) -> LabelPicture:
    empty = np.zeros(size, np.uint8)
    try:
        labels = read_labels(path, _NAMED_IN)
    except ConfigError as error:
        return LabelPicture(empty, str(error))
    if labels.shape != size:
        (answer_height, answer_width), (height, width) = labels.shape, size
        problem = f"{path} has {answer_width}x{answer_height} pixels; expected {width}x{height}"
        return LabelPicture(empty, problem)
    return LabelPicture(labels)
