"""Videos are scored by several processes: each opens the data set once and takes one video after the other."""

import ctypes
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final, TypeVar, cast

from ssa_stream.data.referring import ReferringData, StoredMasks
from ssa_stream.errors import ConfigError
from ssa_stream.evaluation.score.expressions import ExpressionRule, ExpressionScore, score_video
from ssa_stream.evaluation.score.grey_png import load_fast_decoding
from ssa_stream.evaluation.score.request import OnProgress, ScoreRequest

__all__ = ["each_video", "score_videos"]

_FRAMES_WORTH_A_PROCESS: Final = 1000
"""A process takes a second to start; a frame takes about a millisecond."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of malloc.h
_KEPT_BYTES: Final = 32 * 2**20

_Result = TypeVar("_Result")
_VideoWork = Callable[[ReferringData, str], _Result]

_opened: ReferringData
"""In a worker: its data set."""


def score_videos(
    request: ScoreRequest, data: ReferringData, folder: Path, rule: ExpressionRule, on_progress: OnProgress | None
) -> list[ExpressionScore]:
    """Score all sentences, in the data set's order; see `score_video`."""
    work = partial(_score_stored_masks, folder=folder, rule=rule)
    frames = {name: len((video := data.video(name)).frames) * len(video.expressions) for name in data.videos}
    by_video = each_video(request, data, work, frames, on_progress)
    return [score for name in data.videos for score in by_video[name]]


def _score_stored_masks(data: ReferringData, name: str, folder: Path, rule: ExpressionRule) -> list[ExpressionScore]:
    return score_video(cast(StoredMasks, data), name, folder, rule)  # every kind of data that is scored by frames


def each_video(
    request: ScoreRequest,
    data: ReferringData,
    work: "_VideoWork[_Result]",
    num_frames: dict[str, int],
    on_progress: OnProgress | None,
) -> dict[str, _Result]:
    """Do something with each video, in several processes if that is worth their start.

    Args:
        request: Says how many processes may work, and what each opens.
        data: The data set, as opened in this process.
        work: What to do; it can be pickled.
        num_frames: Pictures that each video costs; the longest are begun first.
        on_progress: Told after each video.
    Returns:
        The results by video.
    Raises:
        ConfigError: From `work`; or a process died, with the names of the videos that it may have died of.
    """
    names = sorted(num_frames, key=lambda name: -num_frames[name])
    wanted = min(request.num_workers, len(names), 1 + sum(num_frames.values()) // _FRAMES_WORTH_A_PROCESS)
    results: dict[str, _Result] = {}
    if wanted < 2 and sum(num_frames.values()) > _FRAMES_WORTH_A_PROCESS:
        load_fast_decoding()
    done = _in_this_process(data, work, names) if wanted < 2 else _in_processes(request, work, names, wanted)
    for name, result in done:
        results[name] = result
        if on_progress is not None:
            on_progress(len(results), len(names))
    return results


def _in_this_process(
    data: ReferringData, work: "_VideoWork[_Result]", names: Sequence[str]
) -> Iterator[tuple[str, _Result]]:
    for name in names:
        yield name, work(data, name)


def _in_processes(
    request: ScoreRequest, work: "_VideoWork[_Result]", names: Sequence[str], num_workers: int
) -> Iterator[tuple[str, _Result]]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(num_workers, context, initializer=_begin, initargs=(request,)) as pool:
        futures: dict[Future[_Result], str] = {pool.submit(_work, work, name): name for name in names}
        waiting = dict.fromkeys(names)
        try:
            for future in as_completed(futures):
                name = futures[future]
                result = future.result()
                del waiting[name]
                yield name, result
        except BrokenProcessPool as error:
            begun = ", ".join(list(waiting)[:num_workers])
            raise ConfigError(
                f"a process that scores was killed, or ran out of memory, at one of the videos {begun}; nothing was "
                f"left out silently: give fewer --workers, or look at these videos"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _begin(request: ScoreRequest) -> None:
    """Prepare a worker: it leaves Ctrl-C to the command, and ends with it."""
    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_command, daemon=True).start()
    global _opened
    cv2.setNumThreads(1)  # the processes already use all cores
    _keep_freed_memory()
    load_fast_decoding()
    _opened = request.open_data()


def _keep_freed_memory() -> None:
    """Let glibc keep what pictures took, for the next one: else the kernel clears the same pages for each."""
    with suppress(OSError, AttributeError, TypeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        for option in (_TRIM_THRESHOLD, _MMAP_THRESHOLD):
            mallopt(option, _KEPT_BYTES)


def _end_with_command() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _work(work: "_VideoWork[_Result]", name: str) -> _Result:
    return work(_opened, name)
