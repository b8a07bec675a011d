"""What cameras and live addresses share: reading until lost, and saying how it was lost."""

import time
from collections.abc import Generator, Iterator

import av
from av.container import InputContainer

from ssa_stream.errors import SourceError
from ssa_stream.sources.container import ContainerReader, describe
from ssa_stream.sources.conversion import FrameConverter
from ssa_stream.sources.frame import Frame
from ssa_stream.sources.source import Source, SourceInfo

__all__ = ["LiveSource"]


class LiveSource(Source):
    """Read an open live container until it is closed or lost; it does not reconnect.

    On a live source the end of the data is a loss: a server that is killed ends the iteration of FFmpeg without any
    error, so this class raises one.
    """

    def __init__(
        self,
        container: InputContainer,
        name: str,
        *,
        read_timeout_s: float,
        no_frame_limit_s: float,
        arrival_times: bool = False,
        monotonic_pts: bool = False,
    ) -> None:
        """Take over an open container.

        Args:
            container: Opened with `read_timeout_s`.
            name: What to call it in messages, free of credentials.
            read_timeout_s: Longest wait for data.
            no_frame_limit_s: Longest time without a frame; packets may go on arriving that nothing decodes from.
            arrival_times: See `FrameConverter`.
            monotonic_pts: See `FrameConverter`.
        Raises:
            SourceError: If it holds no video.
        """
        self._reader = ContainerReader(container, name)
        self._reader.stream.thread_type = "SLICE"  # frame threads would add latency
        self._read_timeout_s = read_timeout_s
        self._no_frame_limit_s = no_frame_limit_s
        fps = self._reader.fps
        self._converter = FrameConverter(fps, arrival_times=arrival_times, monotonic_pts=monotonic_pts)
        self._info = SourceInfo(name=name, live=True, fps=fps, size=self._reader.coded_size)

    @property
    def info(self) -> SourceInfo:
        """What the other side said; `size` may be unknown before the first frame."""
        return self._info

    @property
    def corrupt_packets(self) -> int:
        """Packets skipped because they could not be decoded."""
        return self._reader.corrupt_packets

    def frames(self) -> Iterator[Frame]:
        """Deliver frames as they arrive.

        Raises:
            SourceError: When the stream ends, breaks or goes silent.
        """
        try:
            problem = yield from self._until_lost()
            closed_by_caller = self._reader.closed
        finally:
            self.close()
        if not closed_by_caller:
            raise SourceError(f"{self._info.name} was lost after {self._converter.frames} frames: {problem}")

    def close(self) -> None:
        """Disconnect; a read that is under way ends within about twice the read timeout."""
        self._reader.close()

    def _until_lost(self) -> Generator[Frame, None, str]:
        last_frame_at_s = time.monotonic()
        try:
            for decoded in self._reader.decode():
                for picture in decoded:
                    yield self._converter.convert(picture)
                    last_frame_at_s = time.monotonic()
                    if self._reader.closed:
                        return "closed"
                if time.monotonic() - last_frame_at_s > self._no_frame_limit_s:
                    return f"stalled, no frame for {self._no_frame_limit_s:g} s"
        except (av.error.TimeoutError, av.error.ExitError):
            return f"stalled, no data for {self._read_timeout_s:g} s"
        except av.FFmpegError as error:
            return describe(error)
        return "it ended the stream"
