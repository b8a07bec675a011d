"""A contact sheet of the best, the median and the worst clips."""

import cv2
import numpy as np
from numpy.typing import NDArray

from ssa_stream.evaluation.report import ClipResult
from ssa_stream.evaluation.running import ScoredClip
from ssa_stream.viz import contact_sheet
from ssa_stream.viz.colours import PALETTE
from ssa_stream.viz.outlines import LineStyle, Outlined, draw_outlines

__all__ = ["ClipSheet"]

_FRAMES_PER_CLIP = 4  # as many as there are captions
_CELL_WIDTH_PX = 320
_PREDICTED, _TARGET = PALETTE[0], PALETTE[1]
_FOUND, _MEANT = LineStyle(line=3, edge=1, stripe=3, pitch=12), LineStyle(line=3, edge=1, stripe=0, pitch=1)
_ENCODING = (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)  # else stripes lose their colour


class ClipSheet:
    """Collects small pictures of scored clips: what was found is hatched blue, what was meant is outlined orange.

    Args:
        rows: Clips of each kind, best, median and worst; each is a row of four frames.
    """

    def __init__(self, rows: int = 2) -> None:
        self._rows = rows
        self._clips: list[tuple[ClipResult, list[NDArray[np.uint8]]]] = []

    def add(self, clip: ScoredClip) -> None:
        """Keep a few frames of a clip, compressed."""
        processed = clip.prediction.frame_indices
        chosen = np.linspace(0, len(processed) - 1, _FRAMES_PER_CLIP).round().astype(int).tolist()
        pictures = [
            _picture(clip.frames[processed[k]], clip.prediction.masks[k], clip.target[processed[k]]) for k in chosen
        ]
        self._clips.append((clip.result, [cv2.imencode(".jpg", picture, _ENCODING)[1] for picture in pictures]))

    def draw(self) -> NDArray[np.uint8]:
        """The sheet, `(H, W, 3)` uint8 RGB; of few clips each is shown once.

        Raises:
            ConfigError: No clip was added.
        """
        ranked = sorted(self._clips, key=lambda item: -item[0].j_and_f)
        images: list[NDArray[np.uint8]] = []
        captions: list[str] = []
        for label, place in _places(len(ranked), self._rows):
            result, pictures = ranked[place]
            images += [_decoded(picture) for picture in pictures]
            captions.append(f"{label}  J&F {100 * result.j_and_f:.1f}")
            captions.append(result.asked)
            captions.append(f"{result.type or 'sentence'}, {result.video}/{result.expression_id}")
            captions.append("blue: found, orange: meant")
        return contact_sheet(images, captions, columns=_FRAMES_PER_CLIP, cell_width_px=_CELL_WIDTH_PX)


def _places(count: int, rows: int) -> list[tuple[str, int]]:
    """Which ranks to show, best first, each once."""
    first_median = max(0, (count - rows) // 2)
    wanted = [("best", range(rows)), ("median", range(first_median, first_median + rows))]
    wanted.append(("worst", range(count - rows, count)))
    places: dict[int, str] = {}
    for label, ranks in wanted:
        for rank in ranks:
            if 0 <= rank < count:
                places.setdefault(rank, label)
    return [(label, rank) for rank, label in sorted(places.items())]


def _picture(frame: NDArray[np.uint8], predicted: NDArray[np.bool_], target: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """One frame at the sheet's size, BGR."""
    height, width = frame.shape[:2]
    size = (_CELL_WIDTH_PX, max(1, round(height * _CELL_WIDTH_PX / width)))
    picture = np.asarray(cv2.resize(np.ascontiguousarray(frame), size), dtype=np.uint8)
    for mask, colour, style in ((predicted, _PREDICTED, _FOUND), (target, _TARGET, _MEANT)):
        draw_outlines(picture, [Outlined(_resized(mask, size), colour, is_rising=True)], style)
    return np.ascontiguousarray(picture[..., ::-1])


def _resized(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    return np.asarray(cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST), dtype=np.bool_)


def _decoded(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    decoded = cv2.imdecode(picture, cv2.IMREAD_COLOR)
    return np.ascontiguousarray(np.asarray(decoded, dtype=np.uint8)[..., ::-1])
