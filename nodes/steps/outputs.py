"""What the graph itself writes of a stream: videos and lines, as `ssa-stream run` does."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ssa_stream.protocols import FrameIdentity, StageTime
from ssa_stream.sinks import Background, FrameTimes, SinkGroup, open_sink
from ssa_stream.streaming import MaskResult

__all__ = ["OutputFrame", "StreamOutputs", "frame_times", "numbered"]


@dataclass(frozen=True, slots=True, eq=False)
class OutputFrame:
    """A frame as sinks know it."""

    image: NDArray[np.uint8]
    seq: int
    epoch: int
    t: float


class StreamOutputs:
    """The open outputs of one stream. All calls may take long.

    Args:
        specs: See `open_sink`.
        start: Number of the start of the node, from 0. Later ones write beside the files of the earlier ones.
    Raises:
        SinkError: One cannot be opened.
    """

    def __init__(self, specs: Sequence[str], start: int = 0) -> None:
        self._sink = Background(SinkGroup([open_sink(numbered(spec, start)) for spec in specs]))

    def write(self, frame: OutputFrame, results: Sequence[MaskResult], times: FrameTimes) -> None:
        """Hand over the results of a frame.

        Raises:
            SinkError: No output can be written any more.
        """
        self._sink.write(frame, results, times)

    def close(self) -> None:
        """Write what waits and close all.

        Raises:
            SinkError: Something could not be written.
        """
        self._sink.close()


def numbered(spec: str, start: int) -> str:
    """The file of a later start: `overlay.mp4` becomes `overlay-2.mp4`. What has no ending stays as it is."""
    suffix = Path(spec).suffix
    return f"{spec.removesuffix(suffix)}-{start + 1}{suffix}" if start and suffix else spec


def frame_times(frame: FrameIdentity, times: Sequence[StageTime], *, is_live: bool, emitted_ns: int) -> FrameTimes:
    """When things happened to a frame, as sinks are told.

    Args:
        frame: Which frame.
        times: Of its stages.
        is_live: Whether the time counts from when the picture was taken; else from when work on it began.
        emitted_ns: When its results were there.
    """
    model = [stage for stage in times if stage.role != "ingest"]
    begun_ns = min((stage.begin_ns for stage in model), default=frame.t_receive_ns)
    return FrameTimes(
        captured_at_ns=frame.t_capture_ns if is_live else None,
        received_at_ns=frame.t_receive_ns if is_live else begun_ns,
        emitted_at_ns=emitted_ns,
        model_ms=sum(stage.end_ns - stage.begin_ns for stage in model) / 1e6,
    )
