"""Frames and masks of a data set, read to see whether they can be: a few, or all of them in processes.

Processes are given the reader with its index, so that no file of an index is read again.
"""

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from typing import Final, TypeVar

import msgspec

from ssa_stream.data.referring import ReferringData, ReferringExpression, ReferringVideo
from ssa_stream.errors import SsaStreamError

__all__ = ["Problem", "Problems", "annotated_frames", "read_videos", "spread"]

_SAMPLED_VIDEOS: Final = 24
_SAMPLED_FRAMES: Final = 3
_SAMPLED_SENTENCES: Final = 4
_FRAMES_AT_ONCE: Final = 16
_KEPT_PROBLEMS: Final = 50
_WAITING_PER_PROCESS: Final = 4
_Item = TypeVar("_Item")
_Shape = tuple[int, ...]


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Something that cannot be read, and why, with the file's name."""

    about: str
    text: str


class Problems:
    """The first problems, and how many there are."""

    def __init__(self) -> None:
        self.first: list[Problem] = []
        self.count = 0
        self._told: set[str] = set()

    def add(self, problems: Sequence[Problem]) -> None:
        """Count some; those beyond a limit are not kept."""
        self.count += len(problems)
        self.first += problems[: _KEPT_PROBLEMS - len(self.first)]

    def add_new(self, problems: Sequence[Problem]) -> None:
        """Count those whose words were not told yet: a file is named once, whatever is read of it."""
        for problem in problems:
            if problem.text not in self._told:
                self._told.add(problem.text)
                self.add([problem])

    @contextmanager
    def noted(self, about: str) -> Iterator[None]:
        """Note what the body raises as a problem; the same words, which name a file, are noted once."""
        try:
            yield
        except SsaStreamError as error:
            self.add_new([Problem(about=about, text=str(error))])
        except MemoryError:
            self.add([Problem(about=about, text=f"there is not enough memory for {about}")])


def annotated_frames(video: ReferringVideo, expression: ReferringExpression) -> Sequence[int]:
    """Indices of the frames that have masks of a sentence."""
    return range(len(video.frames)) if expression.annotated is None else expression.annotated


def spread(items: Sequence[_Item], count: int) -> list[_Item]:
    """A few of many, evenly, the first and the last among them."""
    if len(items) <= count:
        return list(items)
    return [items[round(place * (len(items) - 1) / (count - 1))] for place in range(count)]


def read_videos(
    data: ReferringData, names: Sequence[str], *, reads_all: bool, workers: int
) -> Iterator[tuple[int, int, list[Problem]]]:
    """Read videos.

    Args:
        data: The split.
        names: Of its videos.
        reads_all: Every frame and mask of all of them; else a few of a few.
        workers: Processes that read all; 1 for this one.
    Yields:
        How many are done, how many are to be read, and what could not be read of the last one.
    Raises:
        SsaStreamError: A process was ended while it read.
    """
    chosen = list(names) if reads_all else spread(names, _SAMPLED_VIDEOS)
    if reads_all and min(workers, len(chosen)) > 1:
        found = _in_processes(data, chosen, min(workers, len(chosen)))
    else:
        found = (_read_video(data, name, reads_all) for name in chosen)
    for done, problems in enumerate(found, start=1):
        yield done, len(chosen), problems


def _in_processes(data: ReferringData, names: Sequence[str], workers: int) -> Iterator[list[Problem]]:
    with ProcessPoolExecutor(workers, get_context("spawn"), _keep, (data,)) as pool:
        waiting: deque[Future[list[Problem]]] = deque()
        try:
            for name in names:
                waiting.append(pool.submit(_read_kept, name))
                if len(waiting) >= workers * _WAITING_PER_PROCESS:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            raise SsaStreamError(
                "a process that read the data set was ended, perhaps for want of memory; read with fewer --workers"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


_kept: list[ReferringData] = []
"""The data set that this process reads, if it was started for that."""


def _keep(data: ReferringData) -> None:
    """Begin a process that reads: Ctrl-C is for the one that started it, and it ends with that one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _kept[:] = [data]


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _read_kept(name: str) -> list[Problem]:
    return _read_video(_kept[0], name, reads_all=True)


def _read_video(data: ReferringData, name: str, reads_all: bool) -> list[Problem]:
    """What cannot be read of a video."""
    problems = Problems()
    video = data.video(name)
    indices = range(len(video.frames))
    size: tuple[int, int] | None = None
    with problems.noted(name):
        size = data.size(name)

    def frames(some: Sequence[int]) -> tuple[_Shape, _Shape]:
        came = data.frames(name, some).shape
        return came, (len(some), *(size or came[1:3]), 3)

    _read(problems, name, indices if reads_all else spread(indices, _SAMPLED_FRAMES), frames)
    # Sentences about the same objects in the same frames have the same masks.
    different = {
        (one.target_ids, one.annotated, one.problem): one for one in video.expressions if one.target_ids or one.problem
    }
    expressions = list(different.values())
    for expression in expressions if reads_all else spread(expressions, _SAMPLED_SENTENCES):

        def masks(some: Sequence[int], one: ReferringExpression = expression) -> tuple[_Shape, _Shape]:
            came = data.masks(name, one, some).shape
            return came, (len(one.target_ids), len(some), *(size or came[2:4]))

        annotated = annotated_frames(video, expression)
        chosen = annotated if reads_all else spread(annotated, _SAMPLED_FRAMES)
        _read(problems, f"{name}/{expression.expression_id}", chosen, masks)
    return problems.first


def _read(
    problems: Problems,
    about: str,
    indices: Sequence[int],
    read: Callable[[Sequence[int]], tuple[_Shape, _Shape]],
) -> None:
    """Read frames or masks, a few at once; of those that fail together each one.

    Args:
        problems: To which what cannot be read is added.
        about: What is read.
        indices: Of frames.
        read: Gives the shape that came, and the one that was expected.
    """
    for start in range(0, len(indices), _FRAMES_AT_ONCE):
        some = list(indices[start : start + _FRAMES_AT_ONCE])
        together = _failures(about, some, read)
        apart = [one for index in some for one in _failures(about, [index], read)] if together else []
        problems.add_new(apart or together)


def _failures(
    about: str, indices: Sequence[int], read: Callable[[Sequence[int]], tuple[_Shape, _Shape]]
) -> list[Problem]:
    problems = Problems()
    with problems.noted(about):
        came, expected = read(indices)
        if came != expected:
            problems.add([Problem(about=about, text=f"an array of {came} came; expected {expected}")])
    return problems.first
