"""One process's part of a prediction: what is left to do, doing it, and putting all parts together."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec
import torch

from ssa_stream.data import DataKind, ReferringData
from ssa_stream.errors import ConfigError, IncompleteInputError, ShapeError
from ssa_stream.evaluation.predict.clip import PreparedClip
from ssa_stream.evaluation.predict.folder import Entry, PredictionFolder, Skipped
from ssa_stream.evaluation.predict.frame_masks import FrameMasks
from ssa_stream.evaluation.predict.loading import LoadedFrames, VideoFrames, load_videos
from ssa_stream.evaluation.predict.objects import Sample, answers_of, samples_of
from ssa_stream.evaluation.predict.settings import PredictSettings
from ssa_stream.evaluation.predict.submission import ANSWERS_FILE, write_answers, write_zip
from ssa_stream.evaluation.predict.units import Plan, Shard, Unit, VideoUnits, share_of
from ssa_stream.input_warnings import InputWarning
from ssa_stream.model import Stages
from ssa_stream.texts import encodable

__all__ = ["Outcome", "Prediction"]

_WHOLE = Shard()
OnWarning = Callable[[InputWarning], None]


class Outcome(NamedTuple):
    """How far a prediction is, over all processes.

    Attributes:
        results: What is to be scored or sent: a folder or a file; None while answers are missing.
        zip: For the server; None if none was asked for, or answers are missing.
        missing: Sentences that nobody has answered yet.
        skipped: What has no answer because it is broken.
    """

    results: Path | None
    zip: Path | None
    missing: int
    skipped: tuple[Skipped, ...]


@dataclass(frozen=True, slots=True)
class _Work:
    """What is left to do for one video.

    Attributes:
        video: All of it.
        units: What is left.
        frames: Names of its frames.
        samples: Where answers are lists; else there are none.
        indices: Frames that the network needs.
    """

    video: VideoUnits
    units: tuple[Unit, ...]
    frames: tuple[str, ...]
    samples: tuple[Sample, ...]
    indices: tuple[int, ...]


class Prediction:
    """Predicts one process's part of a split.

    Args:
        kind: Of the data set.
        data: The split.
        folder: Where results go; the caller has opened it.
        settings: What masks depend on.
        plan: What there is to do, by all processes.
        shard: Which part.
        workers: Processes that read frames ahead.
        tolerate: Share of the part's sentences (or samples, where answers are by sample) that may be broken.
    """

    def __init__(
        self,
        kind: DataKind,
        data: ReferringData,
        folder: PredictionFolder,
        settings: PredictSettings,
        plan: Plan,
        *,
        shard: Shard = _WHOLE,
        workers: int = 0,
        tolerate: float = 0.0,
    ) -> None:
        self._kind, self._data, self._folder, self._settings = kind, data, folder, settings
        self._workers, self._tolerate = workers, tolerate
        self._plan, self._unreadable = plan.videos, plan.unreadable
        self._own = share_of(self._plan, shard)
        self._masks = (
            FrameMasks(kind, settings.split, folder, settings.mode or "single", settings.window)
            if kind.results == "frames"
            else None
        )
        self._num_broken = self._num_tried = 0
        self.total = sum(video.num_expressions for video in self._own)
        """Sentences of this part."""

    def remaining(self) -> list["_Work"]:
        """What is left to do of this part; what was left out as broken is tried again."""
        entries = self._folder.entries() if self._masks is None else {}
        works = []
        for video in self._own:
            frames = self._data.video(video.video).frames
            if self._masks is not None:
                units = tuple(unit for unit in video.units if not self._masks.is_done(unit, frames))
            else:
                units = tuple(unit for unit in video.units if unit.name not in entries or entries[unit.name].skipped)
            if units:
                works.append(self._work(video, units, frames))
        return works

    def run(self, model: Stages, works: Sequence["_Work"], on_warning: OnWarning) -> Iterator[int]:
        """Do it; whatever ends it, what was done stays done.

        Args:
            model: The network, in evaluation mode.
            works: What is left.
            on_warning: Told of what is broken and of sentences that are too long.
        Returns:
            After each unit, how many sentences it had.
        Raises:
            IncompleteInputError: More is broken than is tolerated.
            SinkError: Results cannot be written.
        """
        self._num_tried = sum(_size(unit) for video in self._own for unit in video.units) + len(self._unreadable)
        self._count([Skipped(f"video {name}", encodable(text)) for name, text in self._unreadable], on_warning)
        edges_px = self._settings.short_edge_px, self._settings.long_edge_px
        tried = self._folder.entries()  # what was too long then was told then
        wanted = [VideoFrames(number, work.video.video, work.indices) for number, work in enumerate(works)]
        for work, chunks in zip(works, load_videos(self._data, wanted, edges_px, self._workers), strict=True):
            clip = PreparedClip(model, len(work.indices))
            problems = _fill(clip, chunks, stops_at_first=self._masks is not None)
            for unit in work.units:
                for expression in () if unit.name in tried else unit.expressions:
                    if (text := model.cut_off(expression.text)) is not None:
                        on_warning(InputWarning(f"expression {expression.expression_id} of {unit.video}", text))
                if self._masks is not None:
                    entry = self._pictures(model, clip, unit, work, problems)
                else:
                    entry = self._answers(model, clip, unit, work, problems)
                if entry is not None:
                    self._folder.record(entry)
                    self._count(entry.skipped, on_warning)
                yield len(unit.expressions)

    def finish(self, *, with_zip: bool) -> Outcome:
        """Put the results of all processes together, if all are there.

        Args:
            with_zip: Whether to write a zip for the server, too.
        Raises:
            SinkError: A file cannot be written.
        """
        with self._folder.putting_together():
            entries = self._folder.entries()
            answered: list[Unit] = []
            skipped = [Skipped(f"video {name}", encodable(text)) for name, text in self._unreadable]
            missing = 0
            for unit in (unit for video in self._plan for unit in video.units):
                has_pictures = self._masks is not None and self._masks.has_folders(unit)
                if not has_pictures and unit.name not in entries:
                    missing += len(unit.expressions)
                elif has_pictures or entries[unit.name].has_answers:
                    answered.append(unit)
                if not has_pictures and unit.name in entries:
                    skipped += entries[unit.name].skipped
            if missing:
                return Outcome(None, None, missing, tuple(skipped))
            if self._masks is None:
                path = self._folder.path / ANSWERS_FILE
                write_answers(path, (entries[unit.name] for unit in answered))
                return Outcome(path, None, 0, tuple(skipped))
            archive = self._folder.path / f"{self._kind.name}_{self._settings.split}.zip" if with_zip else None
            if archive is not None:
                write_zip(archive, self._kind, self._masks.root, self._pictures_of(answered))
            return Outcome(self._masks.root, archive, 0, tuple(skipped))

    def _pictures_of(self, units: Iterable[Unit]) -> Iterator[Path]:
        assert self._masks is not None
        for unit in units:
            frames = self._data.video(unit.video).frames
            for folder in self._masks.sentence_folders(unit):
                yield from (folder / f"{frame}.png" for frame in frames)

    def _work(self, video: VideoUnits, units: tuple[Unit, ...], frames: tuple[str, ...]) -> "_Work":
        if self._masks is not None:
            return _Work(video, units, frames, (), tuple(range(len(frames))))
        samples = tuple(samples_of(units[0].expressions, len(frames), self._settings.window or 1))
        return _Work(video, units, frames, samples, tuple(sorted({index for one in samples for index in one.window})))

    def _pictures(
        self, model: Stages, clip: PreparedClip, unit: Unit, work: "_Work", problems: dict[int, str]
    ) -> Entry | None:
        """Write a unit's pictures; an entry only if it is broken."""
        assert self._masks is not None
        problem = next(iter(problems.values()), None)
        if problem is None:
            try:
                with _room_on_gpu():
                    self._masks.write(model, clip, unit, work.frames)
                    return None
            except (ConfigError, ShapeError) as error:
                problem = str(error)
        names = [f"{unit.video}/{expression.expression_id}" for expression in unit.expressions]
        skipped = tuple(Skipped(name, encodable(problem)) for name in names)
        return Entry(video=unit.video, unit=unit.name, skipped=skipped)

    def _answers(self, model: Stages, clip: PreparedClip, unit: Unit, work: "_Work", problems: dict[int, str]) -> Entry:
        """A unit's answers, without those of broken samples."""
        skipped, whole = [], []
        for sample in work.samples:
            problem = next((problems[index] for index in sample.window if index in problems), None)
            if problem is None:
                whole.append(sample)
            else:
                skipped.append(Skipped(str(sample.image_id), encodable(problem)))
        found = []
        try:
            with _room_on_gpu():
                texts = model.encode_text([expression.text for expression in unit.expressions])
                for one in answers_of(model, clip, texts, whole, with_boxes=self._kind.name.startswith("refcoco")):
                    found += one
        except (ConfigError, ShapeError) as error:
            found, skipped = [], [Skipped(str(sample.image_id), encodable(str(error))) for sample in work.samples]
        answers = msgspec.Raw(msgspec.json.encode(found))
        return Entry(video=unit.video, unit=unit.name, skipped=tuple(skipped), answers=answers)

    def _count(self, skipped: Sequence[Skipped], on_warning: OnWarning) -> None:
        """Tell of what is broken, and give up if it is too much."""
        for one in skipped:
            on_warning(InputWarning(one.about, f"left out: {one.text}"))
        self._num_broken += len(skipped)
        if skipped and self._num_broken > self._tolerate * self._num_tried:
            raise IncompleteInputError(
                f"{self._num_broken} of {self._num_tried} are broken, and --tolerate {self._tolerate:g} allows "
                f"{int(self._tolerate * self._num_tried)}; repair them, or allow more, and go on with --resume. The "
                f"last one is {skipped[-1].about}: {skipped[-1].text}"
            )


def _fill(clip: PreparedClip, chunks: Iterable[LoadedFrames], *, stops_at_first: bool) -> dict[int, str]:
    """Give a clip its frames.

    Args:
        clip: An empty one.
        chunks: The frames.
        stops_at_first: Whether one broken frame makes the others useless.
    Returns:
        What is wrong with those that are missing, by index.
    """
    problems: dict[int, str] = {}
    for loaded in chunks:
        problems |= loaded.problems
        if loaded.frames is not None and loaded.sizes is not None and not (problems and stops_at_first):
            try:
                clip.add(loaded.indices, loaded.frames, loaded.sizes)
            except ConfigError as error:
                problems |= dict.fromkeys(loaded.indices, str(error))
        if problems and stops_at_first:
            break
    return problems


@contextmanager
def _room_on_gpu() -> Iterator[None]:
    """A clip that does not fit is a broken one: others may."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise ConfigError(
            "the GPU has not enough memory for this clip; give a --window, a smaller --short-edge or --dtype bfloat16"
        ) from error


def _size(unit: Unit) -> int:
    """How many answers are due: one a sentence, or one a sample."""
    return sum(max(1, len(expression.sample_ids)) for expression in unit.expressions)
