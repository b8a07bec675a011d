"""A chain of FFmpeg's filters for the frames of one stream."""

from collections.abc import Mapping, Sequence
from typing import cast

import av
from av import VideoFrame
from av.filter import Graph

__all__ = ["FilterChain"]


class FilterChain:
    """Filters that give one frame for each; made anew where the kind of frame changes.

    Args:
        steps: Names of filters, each with its options.
    """

    def __init__(self, steps: Sequence[tuple[str, Mapping[str, str]]]) -> None:
        self._steps = tuple(steps)
        self._graph: Graph | None = None
        self._made_for: dict[str, str] = {}

    def apply(self, frame: VideoFrame) -> VideoFrame:
        """Return what the filters make of a frame, which stays as it is.

        Raises:
            av.FFmpegError: They cannot take such a frame.
        """
        kind = {
            "video_size": f"{frame.width}x{frame.height}",
            "pix_fmt": frame.format.name,
            "colorspace": str(int(frame.colorspace)),
            "range": str(int(frame.color_range)),
        }
        if self._graph is None or kind != self._made_for:
            self._graph, self._made_for = self._made(kind), kind
        self._graph.push(frame)
        return cast(VideoFrame, self._graph.pull())

    def _made(self, kind: Mapping[str, str]) -> Graph:
        graph = av.filter.Graph()
        source = graph.add("buffer", time_base="1/1000", pixel_aspect="1/1", **kind)
        steps = [graph.add(name, **options) for name, options in self._steps]
        graph.link_nodes(source, *steps, graph.add("buffersink"))
        graph.configure()
        return graph
