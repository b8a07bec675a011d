"""Frames are read and resized ahead of the network, in processes of their own, a few at a time."""

import os
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from ssa_stream.data import ReferringData
from ssa_stream.errors import ConfigError, ShapeError
from ssa_stream.model import MaskSizes, resize_frame
from ssa_stream.model.preprocess import frame_sizes

__all__ = ["FRAMES_PER_CHUNK", "LoadedFrames", "VideoFrames", "load_videos"]

_WATCH_S = 0.5
FRAMES_PER_CHUNK = 18
"""Frames that are read, and go through the part of the network that sees frames alone, together; as published."""


@dataclass(frozen=True, slots=True)
class VideoFrames:
    """Frames of a video that are needed: its place in a list of videos, its name, their indices in order."""

    number: int
    video: str
    indices: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class LoadedFrames:
    """Some frames of a video.

    Attributes:
        number: The video's place in the list.
        indices: Which of its frames these are; those that cannot be read are not among them.
        frames: At network size without padding, `(t, h, w, 3)` uint8 RGB; None if none can be read.
        sizes: Of all frames of the video; None if none of these can be read.
        problems: What is wrong with those that cannot be read, by index.
    """

    number: int
    indices: tuple[int, ...]
    frames: NDArray[np.uint8] | None
    sizes: MaskSizes | None
    problems: dict[int, str]


class _Chunks(torch.utils.data.Dataset[LoadedFrames]):
    """Chunks of frames by number, in processes that read ahead."""

    def __init__(self, data: ReferringData, videos: Sequence[VideoFrames], edges_px: tuple[int, int]) -> None:
        self._data, self._edges_px = data, edges_px
        self._chunks = [
            (one, one.indices[start : start + FRAMES_PER_CHUNK])
            for one in videos
            for start in range(0, len(one.indices), FRAMES_PER_CHUNK)
        ]

    def __len__(self) -> int:
        return len(self._chunks)

    def __getitem__(self, number: int) -> LoadedFrames:
        video, indices = self._chunks[number]
        try:
            return self._load(video, indices)
        except (ConfigError, ShapeError):
            return self._load_one_by_one(video, indices)

    def _load(self, video: VideoFrames, indices: tuple[int, ...]) -> LoadedFrames:
        frames = self._data.frames(video.video, indices)
        sizes = frame_sizes((frames.shape[1], frames.shape[2]), self._edges_px)
        resized = np.stack([resize_frame(frame, sizes.network) for frame in frames])
        return LoadedFrames(video.number, indices, resized, sizes, {})

    def _load_one_by_one(self, video: VideoFrames, indices: tuple[int, ...]) -> LoadedFrames:
        """Find out which of them are broken."""
        good: list[LoadedFrames] = []
        problems = {}
        for index in indices:
            try:
                one = self._load(video, (index,))
                if good and one.sizes != good[0].sizes:
                    raise ConfigError(f"frame {index} of {video.video} is of another size than those before it")
                good.append(one)
            except (ConfigError, ShapeError) as error:
                problems[index] = str(error)
        frames = np.concatenate([one.frames for one in good if one.frames is not None]) if good else None
        read = tuple(index for one in good for index in one.indices)
        return LoadedFrames(video.number, read, frames, good[0].sizes if good else None, problems)


def load_videos(
    data: ReferringData, videos: Sequence[VideoFrames], edges_px: tuple[int, int], workers: int
) -> Iterator[Iterable[LoadedFrames]]:
    """Read frames of one video after the other.

    Args:
        data: One split.
        videos: Which frames; each has at least one, and the numbers ascend.
        edges_px: Shortest edge at the network, and limit of the longest one.
        workers: Processes that read ahead; 0 reads in this one.
    Returns:
        For each video its frames in chunks; what is left of one is passed over when the next one is asked for.
    """
    chunks = _Chunks(data, videos, edges_px)
    loader: DataLoader[LoadedFrames] = DataLoader(
        chunks,
        batch_size=None,
        num_workers=workers,
        collate_fn=_as_it_is,
        worker_init_fn=partial(_begin, os.getpid()) if workers else None,
    )
    for _, group in groupby(loader, key=lambda loaded: loaded.number):
        yield group


def _as_it_is(value: Any) -> Any:
    return value


def _begin(parent: int, _worker: int) -> None:
    """The command decides what Ctrl-C means; a worker ends when it is told to, and with the command."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this process when the one that started it is gone.

    Torch's own watch does not: a worker of a killed command waits for a reader of the frames that it has read.
    """
    while os.getppid() == parent:
        time.sleep(_WATCH_S)
    os._exit(1)
