"""Reader of A2D-Sentences as it is published: clips, sentences of instances, masks of a few frames of each clip.

The index is the three text files. Which frames hold an instance is in the HDF5 files alone: those of a video are opened
when the video is asked for, half a millisecond each, so that a run over a part of the set need not open all 12,000.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ssa_stream.data.clip_frames import ClipFrames
from ssa_stream.data.instance_masks import read_instance_ids, read_instance_mask
from ssa_stream.data.reading import expect_to_fit, frame_at, is_file_name, whole_number
from ssa_stream.data.referring import ReferringExpression, ReferringVideo
from ssa_stream.data.text_tables import plain_sentence, read_rows, read_table, read_text
from ssa_stream.errors import ConfigError
from ssa_stream.texts import brief

__all__ = ["A2dSentences"]

_EXPECTED: Final = "the folder a2d_sentences of A2D-Sentences, with Release and text_annotations"
_SUBSETS: Final = {"train": 0, "test": 1}
_COLUMNS: Final = 9
_MOST_FRAMES: Final = 100_000
_MOST_NAMED: Final = 10
"""Broken files of one video."""
_COPY: Final = " (copy)"
"""At the end of an instance's id: the row repeats another one, and the published loaders drop it."""


class _Row(NamedTuple):
    instance: int
    text: str


class A2dSentences:
    """Reads one split.

    Videos are those of the split that have a sentence, in the order of the sentences. Frames are numbered from 1, and
    that number is their name. A frame that does not hold a sentence's instance has no sample.

    Args:
        root: The folder with `Release` and `text_annotations`.
        split: `train` or `test`.
    Attributes:
        listed_videos: Videos of both splits in `videoset.csv`; 3,782 in the published set.
        listed_sentences: Sentences of both splits, those that are left out included; 6,655 in the published set.
    Raises:
        ConfigError: A text file is missing, unreadable or not in the format.
    """

    def __init__(self, root: Path | str, split: str) -> None:
        if split not in _SUBSETS:
            raise ConfigError(f"A2D-Sentences has no split {brief(split)}; expected {', '.join(_SUBSETS)}")
        self._root = Path(root)
        self._split = split
        self._videoset_path = self._root / "Release" / "videoset.csv"
        self._texts = self._root / "text_annotations"
        self._annotation_path = self._texts / "a2d_annotation.txt"
        self._clips = ClipFrames()
        self._lengths = self._read_videoset(_SUBSETS[split])
        self._rows = self._read_sentences()
        self._videos: dict[str, ReferringVideo] = {}

    @property
    def videos(self) -> tuple[str, ...]:
        """The videos' names, in the order of their first sentences."""
        return tuple(self._rows)

    def video(self, name: str) -> ReferringVideo:
        """Give a video's frame names and sentences; opens its annotation files when it is asked for first.

        Raises:
            ConfigError: There is no such video, or its annotations are missing or broken.
        """
        if name not in self._rows:
            raise ConfigError(
                f"{self._annotation_path} has no sentence of a video {brief(name)} in {self._split}; it has "
                f"{len(self._rows)} others"
            )
        if name not in self._videos:
            self._videos[name] = self._read_video(name)
        return self._videos[name]

    def frames(self, name: str, indices: Sequence[int] | None = None) -> npt.NDArray[np.uint8]:
        """Decode frames, all of them unless told which.

        Returns:
            `(T, H, W, 3)` uint8 RGB.
        Raises:
            ConfigError: The clip is missing, broken or cut off.
        """
        names = self.video(name).frames
        chosen = list(range(len(names)) if indices is None else indices)
        for index in chosen:
            frame_at(names, index, name)
        return self._clips.read(self._clip(name), chosen)

    def masks(
        self, name: str, expression: ReferringExpression, indices: Sequence[int] | None = None
    ) -> npt.NDArray[np.bool_]:
        """Read the masks of a sentence's instance, `(1, T, H, W)` bool, in its annotated frames unless told which.

        Raises:
            ConfigError: A frame is not annotated, or its annotation is missing, broken or of another size.
        """
        annotated = expression.annotated or ()
        chosen = annotated if indices is None else tuple(indices)
        for index in chosen:
            if index not in annotated:
                raise ConfigError(
                    f"frame {index + 1} of {name} has no mask of instance {expression.target_ids[0]}; expected one of "
                    f"{', '.join(str(at + 1) for at in annotated)}"
                )
        if not chosen:
            raise ConfigError(f"no frame of {name} was asked for; expected at least one that is annotated")
        paths, masks = self._annotations(name), list[npt.NDArray[np.bool_]]()
        for index in chosen:
            masks.append(read_instance_mask(paths[index + 1], int(expression.target_ids[0])))
            if masks[-1].shape != masks[0].shape:
                raise ConfigError(f"masks of {self._folder(name)} differ in size; expected one size a video")
            expect_to_fit((len(chosen), *masks[0].shape), f"masks of {name}")
        return np.stack(masks)[None]

    def size(self, name: str) -> tuple[int, int]:
        """Height and width of a video's frames."""
        self.video(name)
        return self._clips.size(self._clip(name))

    def _read_videoset(self, subset: int) -> dict[str, int]:
        """Frames of each video of the subset."""
        listed: dict[str, tuple[int, int]] = {}
        self.listed_videos = 0
        for line, row in read_rows(self._videoset_path, _COLUMNS, _EXPECTED):
            where = f"{self._videoset_path}, line {line}"
            name, frames, number = row[0], whole_number(row[6].strip()), whole_number(row[8].strip())
            if not is_file_name(name):
                raise ConfigError(f"{where}: the video is {brief(name)}; expected the name of a clip")
            if frames is None or not 0 <= frames <= _MOST_FRAMES:
                raise ConfigError(f"{where}: {brief(row[6])} frames; expected a number from 0 to {_MOST_FRAMES:,}")
            if number is None or number not in _SUBSETS.values():
                raise ConfigError(f"{where}: the subset is {brief(row[8])}; expected 0 (train) or 1 (test)")
            if listed.setdefault(name, (number, frames)) != (number, frames):
                raise ConfigError(f"{where}: the video {brief(name)} comes twice, with other frames or another subset")
            self.listed_videos += 1
        return {name: frames for name, (number, frames) in listed.items() if number == subset}

    def _read_sentences(self) -> dict[str, list[_Row]]:
        missed = {line.strip() for line in read_text(self._texts / "a2d_missed_videos.txt", _EXPECTED).splitlines()}
        rows: dict[str, list[_Row]] = {}
        self.listed_sentences = 0
        for line, (name, instance, text) in read_table(
            self._annotation_path, ("video_id", "instance_id", "query"), _EXPECTED
        ):
            where = f"{self._annotation_path}, line {line}"
            self.listed_sentences += 1
            number = whole_number(instance.strip().removesuffix(_COPY))
            if number is None:
                raise ConfigError(f"{where}: the instance is {brief(instance)}; expected a whole number")
            if instance.strip().endswith(_COPY) or name in missed or name not in self._lengths:
                continue
            rows.setdefault(name, []).append(_Row(number, plain_sentence(text, where)))
        return rows

    def _read_video(self, name: str) -> ReferringVideo:
        held: dict[int, tuple[int, ...]] = {}
        problems: list[ConfigError] = []
        for number, path in self._annotations(name).items():
            try:
                held[number] = read_instance_ids(path)
            except ConfigError as error:
                problems.append(error)
        if problems:
            more = f"; and {len(problems) - _MOST_NAMED} more" if len(problems) > _MOST_NAMED else ""
            raise ConfigError("; ".join(map(str, problems[:_MOST_NAMED])) + more) from problems[0]
        expressions: list[ReferringExpression] = []
        times: dict[int, int] = {}
        for row in self._rows[name]:
            times[row.instance] = times.get(row.instance, 0) + 1
            numbers = [number for number, ids in held.items() if row.instance in ids]
            if numbers:
                expressions.append(
                    ReferringExpression(
                        str(row.instance) if times[row.instance] == 1 else f"{row.instance}.{times[row.instance]}",
                        row.text,
                        (str(row.instance),),
                        annotated=tuple(number - 1 for number in numbers),
                        sample_ids=tuple(f"v_{name}_f_{number}_i_{row.instance}" for number in numbers),
                    )
                )
        length = max(self._length(name), *held)
        return ReferringVideo(name, tuple(str(number) for number in range(1, length + 1)), tuple(expressions))

    def _length(self, name: str) -> int:
        """Frames of the clip, as its head says; without a clip, as the list of videos says.

        A network's window ends at the clip's own end, as in the published loaders. Scoring needs no clips.
        """
        try:
            counted = self._clips.count(self._clip(name))
        except ConfigError:  # raised again when frames are read
            counted = None
        return min(counted or self._lengths[name], _MOST_FRAMES)

    def _annotations(self, name: str) -> dict[int, Path]:
        """The annotation file of each annotated frame, by the frame's number from 1."""
        folder = self._folder(name)
        found: dict[int, Path] = {}
        try:
            paths = sorted(path for path in folder.iterdir() if path.suffix == ".h5" and path.name[0] != ".")
        except OSError as error:
            raise ConfigError(f"{folder} is missing or cannot be read; expected the masks of {brief(name)}") from error
        for path in paths:
            number = whole_number(path.stem)
            if number is None or not 1 <= number <= _MOST_FRAMES or number in found:
                raise ConfigError(f"{path} is named as no frame, or as one that is there already; expected 00001.h5")
            found[number] = path
        if not found:
            raise ConfigError(f"{folder} holds no annotation; expected files such as 00001.h5")
        return dict(sorted(found.items()))

    def _folder(self, name: str) -> Path:
        return self._texts / "a2d_annotation_with_instances" / name

    def _clip(self, name: str) -> Path:
        return self._root / "Release" / "clips320H" / f"{name}.mp4"
