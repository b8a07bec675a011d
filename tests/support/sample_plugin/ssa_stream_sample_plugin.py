"""A plug-in in one module: `testcard:N` is a source of N grey frames, `count:FILE` a sink that counts frames.

It depends on the public names of ssa_stream only.
"""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ssa_stream.errors import SourceError
from ssa_stream.sinks import FrameTimes, Sink, SinkFrame, SinkOptions
from ssa_stream.sources import Frame, Source, SourceInfo, SourceOptions

if TYPE_CHECKING:
    from ssa_stream.streaming.results import MaskResult

__all__ = ["CountSink", "TestCardSource", "open_test_card"]


class TestCardSource(Source):
    """Frames that grow brighter."""

    __test__ = False  # not a test, whatever its name

    def __init__(self, count: int, *, live: bool) -> None:
        self._count = count
        self._live = live
        self._closed = False

    @property
    def info(self) -> SourceInfo:
        """A small picture at 10 frames per second."""
        return SourceInfo("testcard", self._live, 10.0, (48, 64), self._count)

    def frames(self) -> Iterator[Frame]:
        """Deliver the frames."""
        for seq in range(self._count):
            if self._closed:
                return
            image = np.full((48, 64, 3), seq % 256, dtype=np.uint8)
            yield Frame(image, seq, 0, seq / 10, time.monotonic_ns())

    def close(self) -> None:
        """End the stream."""
        self._closed = True


def open_test_card(spec: str, options: SourceOptions) -> Source:
    """Open `testcard:N`."""
    count = spec.partition(":")[2]
    if not count.isdecimal():
        raise SourceError(f"cannot read {spec!r}: give the number of frames, such as testcard:10")
    return TestCardSource(int(count), live=bool(options.live))


class CountSink(Sink):
    """Writes the number of frames and the nominal rate to a file at the end."""

    def __init__(self, spec: str, options: SinkOptions) -> None:
        self._path = Path(spec.partition(":")[2])
        self._fps = options.fps
        self._count = 0

    def write(self, frame: SinkFrame, results: Sequence["MaskResult"], times: FrameTimes | None = None) -> None:
        """Count one frame."""
        self._count += 1

    def close(self) -> None:
        """Write the count."""
        self._path.write_text(f"{self._count} frames at {self._fps:g} fps\n")
