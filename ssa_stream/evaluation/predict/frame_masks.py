"""Answers that are pictures: one for each frame of each sentence, and for Ref-DAVIS17 also of all objects together."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ssa_stream.data import DataKind, ReferringExpression
from ssa_stream.evaluation.predict.clip import PreparedClip, sentence_logits
from ssa_stream.evaluation.predict.folder import PredictionFolder
from ssa_stream.evaluation.predict.merging import FirstWins, SoftMerge, davis_palette
from ssa_stream.evaluation.predict.units import Unit, position_of
from ssa_stream.model import Stages
from ssa_stream.model.selection import SelectionMode

__all__ = ["FrameMasks", "masks_folder"]

FIRST_WINS, SOFT = "merged_first_wins", "merged_soft"
"""Folders of merged masks of Ref-DAVIS17, by the rule."""
_PNG_END = b"IEND\xaeB`\x82"
_WRITERS = 4


def masks_folder(kind: DataKind, split: str) -> str:
    """The folder in the results that holds those of each sentence: as the data set's server has it, else the split."""
    return "Annotations" if kind.name == "ref-youtube-vos" else split


class FrameMasks:
    """Computes and writes pictures.

    Args:
        kind: Of the data set.
        split: Its name.
        folder: Where they go.
        mode: How queries are selected.
        window: See `sentence_logits`.
    """

    def __init__(
        self, kind: DataKind, split: str, folder: PredictionFolder, mode: SelectionMode, window: int | None
    ) -> None:
        self._root_name = masks_folder(kind, split)
        self._folder, self._mode, self._window = folder, mode, window

    @property
    def root(self) -> Path:
        """The folder that holds those of the videos."""
        return self._folder.place(self._root_name)

    def has_folders(self, unit: Unit) -> bool:
        """Whether a unit was written; its pictures are not looked at."""
        return all(self._folder.place(*parts).is_dir() for parts in self._parts(unit))

    def sentence_folders(self, unit: Unit) -> list[Path]:
        """Where the pictures of each sentence of a unit are."""
        return [self._folder.place(*self._of_sentence(unit, expression)) for expression in unit.expressions]

    def is_done(self, unit: Unit, frames: Sequence[str]) -> bool:
        """Whether all pictures of a unit are there, each of them whole."""
        return all(
            _is_whole(self._folder.place(*parts) / f"{frame}.png") for parts in self._parts(unit) for frame in frames
        )

    def write(self, model: Stages, clip: PreparedClip, unit: Unit, frames: Sequence[str]) -> None:
        """Compute the masks of a unit and write them.

        Args:
            model: The network, in evaluation mode.
            clip: All frames of the video.
            unit: Sentences of the video.
            frames: Names of the frames.
        Raises:
            ConfigError: A name in the data cannot be that of a file.
        """
        shape = (len(frames), *clip.sizes.output)
        merges = None if unit.annotator is None else (FirstWins(shape), SoftMerge(shape))
        for expression in unit.expressions:
            with self._folder.new_folder(*self._of_sentence(unit, expression)) as path, _Pictures(path) as pictures:
                start = 0
                for logits in sentence_logits(
                    model, clip, model.encode_text([expression.text]), self._mode, self._window
                ):
                    masks = (logits > 0).cpu().numpy()
                    pictures.add(frames[start : start + len(masks)], masks.astype(np.uint8) * 255)
                    if merges is not None:
                        _merge(merges, position_of(expression) + 1, start, masks, logits)
                    start += len(masks)
        for rule, labels in zip(
            (FIRST_WINS, SOFT), [] if merges is None else [one.labels for one in merges], strict=False
        ):
            with self._folder.new_folder(*_of_merge(unit, rule)) as path, _Pictures(path, davis_palette()) as pictures:
                pictures.add(frames, labels)

    def _parts(self, unit: Unit) -> Iterator[tuple[str, ...]]:
        for expression in unit.expressions:
            yield self._of_sentence(unit, expression)
        if unit.annotator is not None:
            yield from (_of_merge(unit, rule) for rule in (FIRST_WINS, SOFT))

    def _of_sentence(self, unit: Unit, expression: ReferringExpression) -> tuple[str, ...]:
        return self._root_name, unit.video, expression.expression_id


def _of_merge(unit: Unit, rule: str) -> tuple[str, ...]:
    return rule, f"anno_{unit.annotator}", unit.video


def _merge(
    merges: tuple[FirstWins, SoftMerge], label: int, start: int, masks: NDArray[np.bool_], logits: Tensor
) -> None:
    first_wins, soft = merges
    first_wins.add(label, start, masks)
    with torch.inference_mode():
        soft.add(label, start, logits.sigmoid().cpu().numpy())


class _Pictures:
    """Writes pictures into a folder, several at a time; all are written when it ends.

    Args:
        folder: Where.
        palette: Of palette pictures; None writes grey ones.
    """

    def __init__(self, folder: Path, palette: bytes | None = None) -> None:
        self._folder, self._palette = folder, palette
        self._pool = ThreadPoolExecutor(_WRITERS)

    def __enter__(self) -> "_Pictures":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    def add(self, names: Sequence[str], pixels: NDArray[np.uint8]) -> None:
        """Write pictures `(t, H, W)` under these names."""
        for _ in self._pool.map(self._write, names, pixels):  # to hear of errors
            pass

    def _write(self, name: str, pixels: NDArray[np.uint8]) -> None:
        picture = Image.fromarray(pixels)
        if self._palette is not None:
            picture.putpalette(self._palette)
        content = BytesIO()
        picture.save(content, format="PNG")
        (self._folder / f"{name}.png").write_bytes(content.getvalue())


def _is_whole(path: Path) -> bool:
    """Whether a PNG file is there to its end; after a power cut a file may have its name and no content."""
    try:
        with path.open("rb") as file:
            file.seek(-len(_PNG_END), 2)
            return file.read() == _PNG_END
    except OSError:
        return False
