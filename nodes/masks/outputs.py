"""Outputs that the graph itself writes: videos and JSON lines, as `ssa-stream run` does."""

import asyncio
import functools
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import structlog
from numpy.typing import NDArray

from ssa_stream.errors import SinkError
from ssa_stream.nodes.masks.pictures import JpegPicture
from ssa_stream.nodes.runtime.node import NodeContext
from ssa_stream.nodes.runtime.state_files import run_folder
from ssa_stream.outputs import output_file
from ssa_stream.overload import OUTPUTS
from ssa_stream.protocols import EventKind, FrameIdentity, StageTime, VideoQueriesMessage
from ssa_stream.sinks import Background, FrameTimes, Sink, SinkGroup, open_sink
from ssa_stream.sinks.group import OutputReport
from ssa_stream.sinks.registry import finish_left_over
from ssa_stream.streaming import MaskResult

__all__ = ["GraphOutputs", "OutputFrame", "frame_times"]

_LOG = structlog.get_logger()


@dataclass(frozen=True, slots=True, eq=False)
class OutputFrame:
    """A frame as sinks know it, see `ssa_stream.sources.Frame`; `jpeg` is what subscribers get of it."""

    image: NDArray[np.uint8]
    seq: int
    epoch: int
    t: float
    pixel_aspect: Fraction = Fraction(1)
    jpeg: JpegPicture | None = None


class GraphOutputs:
    """The outputs of all streams, written in the node's executor. One that fails later on ends, not the node.

    What fails is told at once, as an event and in the node's counters. The other outputs of its stream and those of
    other streams go on.

    Args:
        node: The node that writes. Later starts of it write beside the files of the earlier ones, and give what an
            earlier one left unfinished its final name.
    """

    def __init__(self, node: NodeContext) -> None:
        self._node = node
        self._executor = node.executor.measured(functools.partial(node.metrics.busy, OUTPUTS))
        self._sinks: dict[str, Sink] = {}
        folder = run_folder(node.transport.link_address(node.name))
        # What this node has begun to write, an output and its file in each line, for its next start. A graph that is
        # one process starts none again.
        self._begun = None if folder is None else folder / f"{node.name}-outputs.txt"

    async def open(self) -> None:
        """Open the outputs of all streams.

        Raises:
            SinkError: One cannot be opened; those before it stay open.
        """
        if self._node.incarnation:
            await self._node.executor.run(self._finish_earlier)
        for name, section in self._node.settings.streams.items():
            if section.outputs:
                loop = asyncio.get_running_loop()
                self._sinks[name] = await self._node.executor.run(self._opened, name, section.outputs, loop)

    def __contains__(self, name: str) -> bool:
        """Whether a stream has outputs that can be written."""
        return name in self._sinks

    async def write(
        self, message: VideoQueriesMessage, picture: OutputFrame | None, results: Sequence[MaskResult]
    ) -> bool:
        """Hand over the results of a frame.

        Args:
            message: The frame's.
            picture: The frame; None if it did not come, and then nothing is written.
            results: One per prompt.
        Returns:
            Whether the outputs of the stream can still be written.
        """
        node, name = self._node, message.frame.stream
        if picture is None:
            return True
        picture = replace(picture, pixel_aspect=message.sizes.source_pixel_aspect)
        times = frame_times(message.frame, message.times, emitted_ns=node.clock.monotonic_ns())
        try:
            await self._executor.run(self._sinks[name].write, picture, results, times)
        except SinkError:  # told when it happened; it was the last output of the stream
            return False
        return True

    async def close(self) -> None:
        """Write what waits and close all."""
        for sink in self._sinks.values():
            with suppress(SinkError):  # told when it happened
                await self._node.executor.run(sink.close)
        self._sinks.clear()

    def _opened(self, name: str, specs: Sequence[str], loop: asyncio.AbstractEventLoop) -> Sink:
        def on_failure(report: OutputReport) -> None:
            loop.call_soon_threadsafe(self._tell, name, report.failure)

        sinks: list[Sink] = []
        names: list[str] = []
        for spec in specs:
            try:
                self._note(spec)
                sinks.append(
                    open_sink(spec, starts_before=self._node.incarnation, overwrite=self._node.settings.overwrite)
                )
                names.append(spec)
            except SinkError as error:
                if not self._node.incarnation:
                    SinkGroup(sinks).close()
                    raise
                # A graph that ran before does not end because there is no room for another file now.
                loop.call_soon_threadsafe(self._tell, name, str(error))
        return Background(SinkGroup(sinks, names, on_failure))

    def _note(self, spec: str) -> None:
        """Remember for a later start of this node what it has begun."""
        path = output_file(spec, starts_before=self._node.incarnation, overwrite=self._node.settings.overwrite)
        if path is None or self._begun is None:
            return
        try:
            self._begun.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._begun.open("a", encoding="utf-8") as file:
                file.write(json.dumps([spec, str(path)]) + "\n")
        except OSError as error:  # the next start finds the usual names by itself
            _LOG.warning("output not noted", node=self._node.name, path=str(path), error=str(error))

    def _finish_earlier(self) -> None:
        """Give files that earlier starts of this node could not finish their final names: users look for them there."""
        for spec, path in dict.fromkeys([*self._noted(), *self._usual()]):
            if finish_left_over(spec, Path(path), overwrite=self._node.settings.overwrite):
                _LOG.info("output of an earlier start finished", node=self._node.name, path=path)

    def _noted(self) -> Iterator[tuple[str, str]]:
        """Outputs and their files that earlier starts have noted."""
        if self._begun is None:
            return
        try:
            lines = self._begun.read_text(encoding="utf-8").splitlines()
            self._begun.unlink()
        except (OSError, UnicodeDecodeError):  # a cleaner of old files has taken it, or its disk was full
            return
        for line in lines:
            try:
                spec, path = json.loads(line)
            except ValueError:  # cut short
                continue
            yield str(spec), str(path)

    def _usual(self) -> Iterator[tuple[str, str]]:
        """What earlier starts have begun if no name was taken: where their notes are lost."""
        settings = self._node.settings
        for section in settings.streams.values():
            for spec in section.outputs:
                for start in range(self._node.incarnation):
                    path = output_file(spec, starts_before=start, overwrite=True)
                    if path is not None:
                        yield spec, str(path)

    def _tell(self, name: str, text: str) -> None:
        _LOG.error("output failed", node=self._node.name, stream=name, error=text)
        self._node.metrics.count("outputs_failed", stream=name)
        self._node.broker.event(EventKind.OUTPUT_FAILED, stream=name, severity="error", text=text)


def frame_times(frame: FrameIdentity, times: Sequence[StageTime], *, emitted_ns: int) -> FrameTimes:
    """When things happened to a frame, as sinks are told.

    Time counts from when the picture of a live source was taken; else from when work on it began.

    Args:
        frame: Which frame.
        times: Of its stages.
        emitted_ns: When its results were there.
    """
    model = [stage for stage in times if stage.role != "ingest"]
    begun_ns = min((stage.begin_ns for stage in model), default=frame.t_receive_ns)
    return FrameTimes(
        captured_at_ns=frame.t_capture_ns if frame.live else None,
        received_at_ns=frame.t_receive_ns if frame.live else begun_ns,
        emitted_at_ns=emitted_ns,
        model_ms=sum(stage.end_ns - stage.begin_ns for stage in model) / 1e6,
    )
