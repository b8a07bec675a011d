"""Pictures of objects as answers, a label an object: stored ones, and ones painted from a picture a sentence."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from ssa_stream.data.reading import picture_size, read_values
from ssa_stream.data.ref_davis17 import ANNOTATORS
from ssa_stream.data.referring import ReferringExpression
from ssa_stream.errors import ConfigError
from ssa_stream.evaluation.score.answers import listed

__all__ = ["LabelAnswers", "LabelPicture", "PaintedAnswers", "StoredAnswers", "stray_problem"]

_NAMED_IN: Final = "the data set"
_MOST_LABEL: Final = 255
_DRAWING_ERRORS: Final = (ValueError, IndexError, TypeError, KeyError, OSError, OverflowError)
"""Of numpy and Pillow, for pictures that do not go together."""


class LabelPicture(NamedTuple):
    """One frame of an answer.

    Attributes:
        labels: `(H, W)` uint8 as the published tool reads them, empty where nothing could be read.
        problem: What the published tool stops at; empty if nothing.
        meant: `(H, W)` uint8: what is there for the strict count; None for `labels`.
        note: What the tool goes wrong with and does not stop at; empty if nothing.
    """

    labels: npt.NDArray[np.uint8]
    problem: str = ""
    meant: npt.NDArray[np.uint8] | None = None
    note: str = ""

    def highest(self) -> int:
        """The highest label that the tool reads."""
        return int(self.labels.max(initial=0))

    def highest_meant(self, at_most: int) -> int:
        """The highest label that is meant, and no more than `at_most`."""
        meant = self.labels if self.meant is None else self.meant
        return int(meant[meant <= at_most].max(initial=0))


class LabelAnswers(Protocol):
    """One annotator's answer to one video."""

    @property
    def problems(self) -> Sequence[str]:
        """What the published tools stop at before they look at frames."""

    @property
    def note(self) -> str:
        """What they go wrong with and do not stop at; empty if nothing."""

    def read(self, frame: str, size: tuple[int, ...], *, is_first: bool) -> LabelPicture:
        """Read one frame.

        Args:
            frame: Its name.
            size: Of the truth; an answer of another one is a problem, and empty.
            is_first: Whether the tool takes its own array's size from this frame.
        """


class StoredAnswers:
    """Pictures of objects in a folder."""

    note = ""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.problems: tuple[str, ...] = () if folder.is_dir() else ("there is no folder of the video",)

    def read(self, frame: str, size: tuple[int, ...], *, is_first: bool) -> LabelPicture:
        """See `LabelAnswers`."""
        if self.problems:
            return LabelPicture(np.zeros(size, np.uint8))
        try:
            values = read_values(self._folder / f"{frame}.png", _NAMED_IN)
        except ConfigError as error:
            return LabelPicture(np.zeros(size, np.uint8), str(error))
        return _as_toolkit(values, size, str(self._folder / f"{frame}.png"), is_first=is_first)


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
    def as_published(
        cls, folder: Path, meant: "Sequence[PaintedAnswers]", frames: Sequence[str]
    ) -> "list[PaintedAnswers]":
        """As SSA's script does it: sentences are numbered in the order of the folders that are there.

        Where all are there, these are the answers as they are meant.

        Args:
            folder: Of the video.
            meant: Its answers as they are meant.
            frames: Names of its frames.
        """
        if not folder.is_dir():
            return [cls((), ["there is no folder of the video"]) for _ in meant]
        names = listed(folder)
        if problem := stray_problem(folder, frames):
            return [cls((), [problem]) for _ in meant]
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

    def read(self, frame: str, size: tuple[int, ...], *, is_first: bool) -> LabelPicture:
        """See `LabelAnswers`."""
        meant = np.zeros(size, np.uint8)
        layers: list[tuple[int, npt.NDArray[Any]]] = []
        problem = ""
        for label, folder in self._layers:
            path = folder / f"{frame}.png"
            try:
                values = read_values(path, _NAMED_IN)
            except ConfigError as error:
                problem = problem or str(error)
                continue
            layers.append((label, values))
            shown = _shown(values)
            if shown.shape == size:
                meant[(meant == 0) & shown] = min(label, _MOST_LABEL)
        if problem or not layers:
            return LabelPicture(meant, problem)
        if all(values.dtype == np.uint8 and values.shape == size for _, values in layers):
            return LabelPicture(meant)
        try:
            values = _painted(layers)
        except _DRAWING_ERRORS as error:
            return LabelPicture(meant, f"{path.name} of the sentences cannot be painted into one picture: {error}")
        picture = _as_toolkit(values, size, f"what is painted from {path.name} of the sentences", is_first=is_first)
        note = "pictures of sentences are no grey or palette pictures of one size: the script paints other labels"
        return picture._replace(meant=meant, note=note)


def _shown(values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Where a sentence's picture shows something; how opaque it is there does not count."""
    if values.ndim == 2:
        return np.asarray(values > 0, np.bool_)
    colours = values.shape[2] - (values.shape[2] % 2 == 0)
    return np.asarray((values[..., :colours] > 0).any(axis=2), np.bool_)


def _painted(layers: Sequence[tuple[int, npt.NDArray[Any]]]) -> npt.NDArray[Any]:
    """Paint in the kind of the first picture, as the published script does.

    What becomes of others than grey ones is what numpy and Pillow make of them.
    """
    canvas = np.zeros_like(layers[0][1])
    for label, values in layers:
        canvas[(canvas == 0) & (values > 0)] = label
    return np.array(Image.fromarray(canvas).convert("P"))


def _as_toolkit(values: npt.NDArray[Any], size: tuple[int, ...], what: str, *, is_first: bool) -> LabelPicture:
    """Numbers of objects as the DAVIS toolkit takes them: later frames go into the first one's array."""
    empty = np.zeros(size, np.uint8)
    if values.ndim != 2:
        return LabelPicture(
            empty, f"{what} has {values.shape[2]} values a pixel; expected one, the number of an object"
        )
    labels = np.clip(values, 0, _MOST_LABEL).astype(np.uint8)
    if labels.shape == size:
        return LabelPicture(labels)
    (answer_height, answer_width), (height, width) = labels.shape, size
    problem = f"{what} has {answer_width}x{answer_height} pixels; expected {width}x{height}"
    if not is_first and all(side in (1, wanted) for side, wanted in zip(labels.shape, size, strict=True)):
        return LabelPicture(np.broadcast_to(labels, size), meant=empty, note=problem)
    return LabelPicture(empty, problem)


def stray_problem(folder: Path, frames: Sequence[str]) -> str:
    """What SSA's script stops at in a video's folder: it takes everything there for a sentence.

    Args:
        folder: Of a video, or of anything beside videos.
        frames: Names of its frames, which are read anyway.
    Returns:
        Empty if nothing.
    """
    names = listed(folder)
    for name in names:
        try:
            int(name)
        except ValueError:
            return f"it holds {name!r}; expected folders of sentences alone, whose names are numbers"
    if not names:
        return "it is empty; expected folders of sentences"
    names = sorted(names, key=int)
    files = listed(folder / names[0])
    if files and len(names) < ANNOTATORS:
        return f"it holds {len(names)} folders of sentences; expected one of each of the {ANNOTATORS} annotators"
    known = {f"{frame}.png" for frame in frames}
    for file in (file for file in files if file not in known):
        for name in names:
            try:
                picture_size(folder / name / file, f"the folder {names[0]}")
            except ConfigError as error:
                return str(error)
    return ""


def _difference(expected: set[Path], there: set[Path]) -> str:
    parts = []
    for what, paths in (("are missing", expected - there), ("are not of the data set", there - expected)):
        if paths:
            names = sorted((path.name for path in paths), key=int)
            parts.append(f"the folders {', '.join(names[:5])}{' ...' if len(names) > 5 else ''} {what}")
    return " and ".join(parts)
