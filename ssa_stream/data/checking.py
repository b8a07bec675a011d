"""What is there of a data set, what is missing, and what cannot be read: before a night of training.

It goes by `ReferringData` alone, so that it checks what training and prediction will read. Reading goes on after a
problem; each is noted with its file.
"""

from collections.abc import Callable, Iterator, Sequence

import msgspec

from ssa_stream.cores import usable_cores
from ssa_stream.data.kinds import DataPlace, open_data, split_of
from ssa_stream.data.published_counts import ALL_SPLITS, PUBLISHED
from ssa_stream.data.referring import ReferringData, ReferringVideo
from ssa_stream.data.trial_reading import Problem, Problems, annotated_frames, read_videos
from ssa_stream.errors import ConfigError, is_of_missing_file

__all__ = ["CountCheck", "DataCheck", "SplitCheck", "check_data"]

OnProgress = Callable[[str, int, int], None]
"""Hears of the split, the videos of it that are done, and how many are to be read."""


class SplitCheck(msgspec.Struct, frozen=True, kw_only=True):
    """One split.

    Attributes:
        split: Its name.
        state: `there`; `missing`, where a file that it begins with is not there; `unreadable`.
        text: Why it could not be opened.
        videos: Videos; pictures of a data set of pictures. Those that are left out are in no count.
        left_out_videos: Those whose sentences cannot be read.
        sentences: Sentences about them.
        without_targets: Sentences that mean nothing in their video.
        hidden_targets: Sentences whose targets are not released.
        objects: Objects of the videos that a sentence means; each is counted once.
        frames: Frames of the videos.
        annotated_frames: Frames that have masks of a target.
        samples: Annotated frames of each sentence, where results are by these.
        listed_videos: Entries of the lists, those that the reader leaves out included; None if it does not tell.
        listed_sentences: Likewise.
        read_videos: Of how many videos frames and masks were read.
        num_problems: How many there are.
        problems: The first ones.
    """

    split: str
    state: str = "there"
    text: str = ""
    videos: int = 0
    left_out_videos: int = 0
    sentences: int = 0
    without_targets: int = 0
    hidden_targets: int = 0
    objects: int = 0
    frames: int = 0
    annotated_frames: int = 0
    samples: int = 0
    listed_videos: int | None = None
    listed_sentences: int | None = None
    read_videos: int = 0
    num_problems: int = 0
    problems: tuple[Problem, ...] = ()


class CountCheck(msgspec.Struct, frozen=True, kw_only=True):
    """A count beside the published one."""

    split: str
    what: str
    found: int
    published: int
    source: str


class DataCheck(msgspec.Struct, frozen=True, kw_only=True):
    """A data set.

    Attributes:
        data: Its kind; of MeViS with the version, where that is 2.
        root: Its folder.
        splits: Those that were asked for.
        counts: Those that have a published one.
        is_usable: Whether all splits that are there can be read, as far as they were.
        kind: Always `data_check`.
        version: Of this format.
    """

    data: str
    root: str
    splits: tuple[SplitCheck, ...]
    counts: tuple[CountCheck, ...]
    is_usable: bool
    kind: str = "data_check"
    version: int = 1


def check_data(
    place: DataPlace,
    split: str | None = None,
    *,
    reads_all: bool = False,
    workers: int | None = None,
    on_progress: OnProgress | None = None,
) -> DataCheck:
    """Look at a data set.

    Args:
        place: Kind and root.
        split: The one to look at; None for all, of which some may be missing.
        reads_all: Read every frame and mask, in processes; else a few of each split.
        workers: How many processes read all; None for one a core, 1 for this process.
        on_progress: Told after each video that was read.
    Raises:
        ConfigError: There is no such split.
        SsaStreamError: A process was ended while it read.
    """
    names = place.kind.splits if split is None else (split_of(place.kind, split),)
    checks, kind = [], place.kind.name
    for name in names:
        try:
            data = open_data(place, name)
        except ConfigError as error:
            state = "missing" if is_of_missing_file(error) else "unreadable"
            checks.append(SplitCheck(split=name, state=state, text=str(error)))
            continue
        if getattr(data, "version", 1) != 1:
            kind = f"{place.kind.name} version {getattr(data, 'version', 1)}"
        checks.append(_check_split(data, name, reads_all, workers or usable_cores(), on_progress))
    there = [check for check in checks if check.state == "there"]
    is_whole = len(there) == len(checks) if split is not None else bool(there)
    return DataCheck(
        data=kind,
        root=str(place.root),
        splits=tuple(checks),
        counts=tuple(_counts(kind, {check.split: check for check in there}, place.kind.splits)),
        is_usable=is_whole and not any(check.state == "unreadable" or check.num_problems for check in checks),
    )


def _counts(kind: str, checks: dict[str, SplitCheck], splits: Sequence[str]) -> Iterator[CountCheck]:
    for split, what, published, source in PUBLISHED.get(kind, ()):
        parts = splits if split == ALL_SPLITS else split.split("+")
        if not all(part in checks for part in parts):
            continue
        found = [getattr(checks[part], what) for part in parts]
        if None not in found:
            # What is listed is the same list for each split.
            total = max(found) if what.startswith("listed_") else sum(found)
            yield CountCheck(split=split, what=what, found=total, published=published, source=source)


def _check_split(
    data: ReferringData, split: str, reads_all: bool, workers: int, on_progress: OnProgress | None
) -> SplitCheck:
    problems = Problems()
    videos: list[ReferringVideo] = []
    for name in data.videos:
        with problems.noted(name):
            videos.append(data.video(name))
    if not videos:
        problems.add(
            [Problem(about=split, text="it has no video: what lists them is empty or broken; expected at least one")]
        )
    read = 0
    for read, total, found in read_videos(data, [video.name for video in videos], reads_all=reads_all, workers=workers):
        problems.add(found)
        if on_progress is not None:
            on_progress(split, read, total)
    check = SplitCheck(
        split=split,
        listed_videos=getattr(data, "listed_videos", None),
        listed_sentences=getattr(data, "listed_sentences", None),
        left_out_videos=len(data.videos) - len(videos),
        read_videos=read,
        num_problems=problems.count,
        problems=tuple(problems.first),
    )
    return msgspec.structs.replace(check, **_count(videos))


def _count(videos: Sequence[ReferringVideo]) -> dict[str, int]:
    counts = dict.fromkeys(
        ("sentences", "without_targets", "hidden_targets", "objects", "frames", "annotated_frames", "samples"), 0
    )
    for video in videos:
        objects: set[str] = set()
        annotated: set[int] = set()
        for expression in video.expressions:
            objects |= set(expression.target_ids)
            if expression.target_ids:
                annotated |= set(annotated_frames(video, expression))
            has_none = not expression.target_ids and not expression.problem
            counts["without_targets"] += expression.has_targets and has_none
            counts["hidden_targets"] += not expression.has_targets
            counts["samples"] += len(expression.sample_ids)
        counts["sentences"] += len(video.expressions)
        counts["objects"] += len(objects)
        counts["frames"] += len(video.frames)
        counts["annotated_frames"] += len(annotated)
    return {"videos": len(videos), **counts}
