"""A source that does exactly what a test wrote down."""

import threading
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from ssa_stream.sources import Frame, Source, SourceInfo

__all__ = ["DEADLINE_S", "FRAME_INTERVAL_S", "ScriptedSource", "numbered_frame", "numbered_frames"]

DEADLINE_S: Final = 10.0
FRAME_INTERVAL_S: Final = 0.1


def numbered_frame(seq: int, *, t: float | None = None, epoch: int = 0, size: tuple[int, int] = (2, 2)) -> Frame:
    """Return a small frame whose pixels are its number."""
    image = np.full((*size, 3), seq % 256, dtype=np.uint8)
    return Frame(image, seq, epoch, seq * FRAME_INTERVAL_S if t is None else t, t_receive_ns=0)


class ScriptedSource(Source):
    """Plays a script: a number is delivered as that frame, an event is set, an error is raised.

    After its script it ends, or, if told so, blocks until it is closed, as a silent camera does.
    """

    def __init__(
        self, script: Sequence[int | Frame | threading.Event | Exception], *, block_at_end: bool = False
    ) -> None:
        self.closed = threading.Event()
        self.asked = 0
        self._script = script
        self._block_at_end = block_at_end

    @property
    def info(self) -> SourceInfo:
        """A name and a rate."""
        return SourceInfo("scripted", live=False, fps=1 / FRAME_INTERVAL_S)

    def frames(self) -> Iterator[Frame]:
        """Play the script."""
        for step in self._script:
            if self.closed.is_set():
                return
            match step:
                case threading.Event():
                    step.set()
                case Exception():
                    raise step
                case Frame():
                    self.asked += 1
                    yield step
                case int():
                    self.asked += 1
                    yield numbered_frame(step)
        if self._block_at_end:
            assert self.closed.wait(DEADLINE_S), "nobody closed the source"

    def close(self) -> None:
        """End the script."""
        self.closed.set()


def numbered_frames(*numbers: int, epoch: int = 0, size: tuple[int, int] = (48, 64)) -> list[Frame]:
    """Frames of these numbers; see `numbered_frame`."""
    return [numbered_frame(number, epoch=epoch, size=size) for number in numbers]
