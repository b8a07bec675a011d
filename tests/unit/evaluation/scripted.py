"""A data set of coloured boxes, and models that answer by script instead of looking."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ssa_stream.evaluation import ClipPrediction, Sentence, VideoEntry
from tests.unit.streaming.colour_model import draw

__all__ = ["BoxData", "ScriptedPredictor", "empty", "perfect", "shifted"]

SIZE = (32, 64)
Boxes = dict[str, list[tuple[int, int, int, int] | None]]
"""Box of each colour in each frame: left, top, right, bottom; None where it is hidden."""

_STILL_RED: Boxes = {"red": [(8, 4, 24, 12)] * 6, "blue": [(4 * t, 16, 4 * t + 12, 28) for t in range(6)]}
_HIDDEN_GREEN: Boxes = {"green": [(40, 8, 56, 24), (40, 8, 56, 24), None, None, (36, 8, 52, 24), (36, 8, 52, 24)]}


class BoxData:
    """Two videos: "a" with a red and a moving blue box, "b" with a green one that is hidden for two frames."""

    name = "boxes"
    fps = 10.0

    def __init__(self) -> None:
        self._boxes = {"a": _STILL_RED, "b": _HIDDEN_GREEN}
        self.videos = [
            VideoEntry(
                "a",
                (
                    Sentence("0", "the red one", "appearance", False, False),
                    Sentence("1", "red and blue", "several", True, False),
                    Sentence("2", "the yellow one", "no_target", False, True),
                ),
            ),
            VideoEntry("b", (Sentence("0", "the green one", "appearance", False, False),)),
        ]
        self.frames_read: list[str] = []

    def frames(self, video: str, indices: Sequence[int] | None = None) -> NDArray[np.uint8]:
        """Draw them."""
        self.frames_read.append(video)
        boxes = self._boxes[video]
        chosen = range(6) if indices is None else indices
        return np.stack([draw(*((colour, box) for colour, row in boxes.items() if (box := row[t]))) for t in chosen])

    def targets(self, video: str, expression_id: str) -> NDArray[np.bool_]:
        """Masks of the colours that the sentence names."""
        text = next(
            sentence.text
            for entry in self.videos
            for sentence in entry.sentences
            if (entry.name, sentence.expression_id) == (video, expression_id)
        )
        rows = [row for colour, row in self._boxes[video].items() if colour in text]
        masks = np.zeros((len(rows), 6, *SIZE), np.bool_)
        for i, row in enumerate(rows):
            for t, box in enumerate(row):
                if box is not None:
                    left, top, right, bottom = box
                    masks[i, t, top:bottom, left:right] = True
        return masks


Answer = Callable[[NDArray[np.bool_]], NDArray[np.bool_]]


def perfect(targets: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Each object as it is."""
    return targets


def empty(targets: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Nothing of each object."""
    return np.zeros_like(targets)


def shifted(targets: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Each object four pixels too far right."""
    return np.roll(targets, 4, axis=3)


class ScriptedPredictor:
    """Knows what each sentence means in the data, and answers with that, changed.

    Attributes:
        asked: All sentences, in the order in which they were asked.
    """

    def __init__(
        self, data: BoxData, answer: Answer = perfect, *, latency_s: float | None = None, stride: int = 1
    ) -> None:
        self._targets = {
            sentence.text: data.targets(video.name, sentence.expression_id)
            for video in data.videos
            for sentence in video.sentences
        }
        self._answer = answer
        self._latency_s = latency_s
        self._stride = stride
        self.asked: list[str] = []

    def predict(self, frames: NDArray[np.uint8], sentences: Sequence[str], fps: float) -> Iterator[ClipPrediction]:
        """See `Predictor`; a sentence that the data do not know means nothing."""
        for sentence in sentences:
            self.asked.append(sentence)
            objects = self._answer(self._targets.get(sentence, np.zeros((0, len(frames), *SIZE), np.bool_)))
            times = range(self._stride - 1, len(frames), self._stride)
            yield ClipPrediction(
                frame_indices=tuple(times),
                masks=np.asarray(objects[:, list(times)].any(axis=0)),
                tracks=[{i: one[t] for i, one in enumerate(objects, start=1) if one[t].any()} for t in times],
                emitted_at_s=None if self._latency_s is None else tuple(t / fps + self._latency_s for t in times),
            )
