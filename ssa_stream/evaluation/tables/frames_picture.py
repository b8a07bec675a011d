"""A figure for a paper: rows of systems, columns of frames, the sentence below."""

import warnings
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from numpy.typing import NDArray

from ssa_stream.errors import ConfigError
from ssa_stream.viz.colours import PALETTE
from ssa_stream.viz.outlines import LineStyle, Outlined, draw_outlines

__all__ = ["FORMATS", "PictureRow", "draw_frames", "save_figure"]

FORMATS: Final = (".png", ".pdf")
"""Endings of files that can be written."""
_DPI: Final = 300
_INCH_PT: Final = 72
_LABEL_PT, _SENTENCE_PT = 6.5, 7.0
"""Readable in print: captions of papers have 8 or 9 points, and figures two less."""
_LINE_SPACING: Final = 1.2
_GAP_IN: Final = 0.03
_LEAST_CELL_IN: Final = 0.3
_MOST_LABEL_LINES: Final = 2
_OPACITY: Final = 0.35
_FOUND, _MEANT = PALETTE[0], PALETTE[1]


@dataclass(frozen=True, slots=True)
class PictureRow:
    """A row of the figure.

    Attributes:
        name: Written beside it.
        masks: `(H, W)` bool each, one a column; None where the system gave none.
        is_truth: Its masks are drawn in the colour of what is meant.
    """

    name: str
    masks: Sequence[NDArray[np.bool_] | None]
    is_truth: bool = False


def draw_frames(
    frames: NDArray[np.uint8], names: Sequence[str], rows: Sequence[PictureRow], sentence: str, *, width_in: float
) -> Figure:
    """Lay out a figure.

    Args:
        frames: One a column, `(T, H, W, 3)` uint8 RGB.
        names: Written above the columns.
        rows: With `T` masks of the frames' size each.
        sentence: Written below, in as many lines as it needs.
        width_in: Of the whole figure, inches: 3.3 for a column of a paper with two, 6.9 for its whole width.
    Raises:
        ConfigError: There are more columns than fit into this width.
    """
    with _style():
        return _Layout(frames, names, rows, sentence, width_in).figure


def save_figure(figure: Figure, path: Path, ending: str) -> None:
    """Write a figure; equal figures give equal files.

    Args:
        figure: What `draw_frames` gave.
        path: Where to, whatever its name is.
        ending: One of `FORMATS`.
    Raises:
        OSError: It cannot be written.
    """
    metadata: dict[str, Any] = {"CreationDate": None} if ending == ".pdf" else {"Software": None}
    with _style():
        figure.savefig(path, format=ending[1:], dpi=_DPI, metadata=metadata)


@contextmanager
def _style() -> Iterator[None]:
    """The same figure whatever the user's settings are; fonts as outlines (type 42), as publishers ask for."""
    with mpl.rc_context({"pdf.fonttype": 42, "font.family": "DejaVu Sans"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # the font lacks a letter: a box is drawn for it
        yield


class _Layout:
    """The parts of a figure, measured in inches from its upper left corner."""

    def __init__(
        self,
        frames: NDArray[np.uint8],
        names: Sequence[str],
        rows: Sequence[PictureRow],
        sentence: str,
        width_in: float,
    ) -> None:
        T, H, W, _ = frames.shape
        self.figure = Figure(figsize=(width_in, 1), dpi=_DPI)
        self._measure = FigureCanvasAgg(self.figure).get_renderer()  # type: ignore[no-untyped-call]  # matplotlib has no types for it
        line_in = _LABEL_PT * _LINE_SPACING / _INCH_PT
        left_in = _MOST_LABEL_LINES * line_in
        cell_width_in = (width_in - left_in - T * _GAP_IN) / T
        if cell_width_in < _LEAST_CELL_IN:
            raise ConfigError(
                f"{T} columns do not fit into {width_in:g} inches; give a larger --width or fewer columns"
            )
        cell_height_in = cell_width_in * H / W
        label_in = max(cell_height_in, _LEAST_CELL_IN)
        self._lines = self._wrapped(sentence, width_in, _SENTENCE_PT)
        below_in = len(self._lines) * _SENTENCE_PT * _LINE_SPACING / _INCH_PT + 2 * _GAP_IN
        self._width_in, self._height_in = width_in, line_in + len(rows) * (label_in + _GAP_IN) + below_in
        self.figure.set_size_inches(width_in, self._height_in)
        for number, name in enumerate(names):
            middle = left_in + number * (cell_width_in + _GAP_IN) + cell_width_in / 2
            self._write(self._cut(name, cell_width_in), middle, line_in / 2, _LABEL_PT)
        for order, row in enumerate(rows):
            top_in = line_in + order * (label_in + _GAP_IN)
            text = "\n".join(self._label(row.name, label_in))
            self._write(text, left_in / 2, top_in + label_in / 2, _LABEL_PT, rotation=90)
            for number, (frame, mask) in enumerate(zip(frames, row.masks, strict=True)):
                box = (left_in + number * (cell_width_in + _GAP_IN), top_in, cell_width_in, cell_height_in)
                self._show(frame, mask, box, is_truth=row.is_truth)
        text = "\n".join(self._lines)
        self._write(text, width_in / 2, self._height_in - below_in / 2, _SENTENCE_PT, style="normal")

    def _show(
        self,
        frame: NDArray[np.uint8],
        mask: NDArray[np.bool_] | None,
        box: tuple[float, float, float, float],
        *,
        is_truth: bool,
    ) -> None:
        left, top, width, height = box
        size = (max(1, round(width * _DPI)), max(1, round(height * _DPI)))
        picture = np.asarray(cv2.resize(np.ascontiguousarray(frame), size, interpolation=cv2.INTER_AREA), np.uint8)
        if mask is None:
            picture = np.asarray(picture // 4 + 190, np.uint8)
        else:
            scaled = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
            style = LineStyle.of_picture(size[1], size[0], _OPACITY)
            colour = _MEANT if is_truth else _FOUND
            draw_outlines(picture, [Outlined(np.asarray(scaled, np.bool_), colour, is_rising=True)], style)
        axes = self.figure.add_axes(
            (
                left / self._width_in,
                1 - (top + height) / self._height_in,
                width / self._width_in,
                height / self._height_in,
            )
        )
        axes.set_axis_off()
        axes.imshow(picture, interpolation="none", aspect="auto")
        if mask is None:
            self._write(self._cut("missing", width), left + width / 2, top + height / 2, _LABEL_PT)

    def _write(self, text: str, x_in: float, y_in: float, size_pt: float, **options: Any) -> None:
        self.figure.text(
            x_in / self._width_in,
            1 - y_in / self._height_in,
            text,
            size=size_pt,
            ha="center",
            va="center",
            linespacing=1.0,
            parse_math=False,
            **options,
        )

    def _label(self, name: str, width_in: float) -> list[str]:
        lines = self._wrapped(name, width_in, _LABEL_PT)
        if len(lines) > _MOST_LABEL_LINES:
            rest = " ".join(lines[_MOST_LABEL_LINES - 1 :])
            lines = [*lines[: _MOST_LABEL_LINES - 1], self._cut(rest, width_in)]
        return lines

    def _wrapped(self, text: str, width_in: float, size_pt: float) -> list[str]:
        """A text in lines that fit; a word that is too long is cut into pieces."""
        lines, line = [], ""
        for word in text.split():
            if line and self._text_in(f"{line} {word}", size_pt) <= width_in:
                line = f"{line} {word}"
                continue
            if line:
                lines.append(line)
            line = word
            while (fitting := self._fitting(line, "", width_in, size_pt)) < len(line):
                lines.append(line[:fitting])
                line = line[fitting:]
        return [*lines, line] if line else lines

    def _cut(self, text: str, width_in: float) -> str:
        if self._text_in(text, _LABEL_PT) <= width_in:
            return text
        return f"{text[: self._fitting(text, '…', width_in, _LABEL_PT)]}…"

    def _fitting(self, text: str, end: str, width_in: float, size_pt: float) -> int:
        """How many of a text's characters fit, with `end` behind them; at least one."""
        counts = range(1, len(text) + 1)
        return max(1, bisect_right(counts, width_in, key=lambda n: self._text_in(f"{text[:n]}{end}", size_pt)))

    def _text_in(self, text: str, size_pt: float) -> float:
        font = FontProperties(size=size_pt)
        width_px, _, _ = self._measure.get_text_width_height_descent(text, font, ismath=False)
        return float(width_px) / _DPI
