"""A frame of the source, prepared for the network."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from ssa_stream.model.preprocess import check_frame, frame_sizes, resize_frame
from ssa_stream.nodes.pipeline import PipelineConfig
from ssa_stream.nodes.runtime.weights import network_config
from ssa_stream.protocols import FrameSizes
from ssa_stream.sources import Frame
from ssa_stream.streaming.blank import is_blank

__all__ = ["Edges", "Picture", "network_edges", "prepare"]

Edges = tuple[int, int]
"""Wanted shortest edge at the network and limit of the longest one, in pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A frame, resized.

    Attributes:
        frame: As it came from the source.
        image: `(h, w, 3)` uint8, RGB, of `sizes.network`. Shared, not copied: treat as read-only.
        sizes: Which sizes it passes through.
        begin_ns: When resizing began.
        is_blank: Whether it shows nothing, so that nothing is found in it.
    """

    frame: Frame
    image: NDArray[np.uint8]
    sizes: FrameSizes
    begin_ns: int
    is_blank: bool = False


def prepare(frame: Frame, edges: Edges, now_ns: Callable[[], int]) -> Picture:
    """Resize a frame exactly as a session does.

    Args:
        frame: From the source.
        edges: Size at the network.
        now_ns: The clock.
    Raises:
        ShapeError: It is not an RGB image.
    """
    begin_ns = now_ns()
    image = check_frame(frame.image)
    aspect = frame.pixel_aspect
    sizes = frame_sizes(frame.size, edges, aspect)
    told = FrameSizes(
        source=frame.size,
        network=sizes.network,
        padded=sizes.padded,
        pixel_aspect=UNSET if aspect == 1 else aspect.as_integer_ratio(),
    )
    picture = resize_frame(image, sizes.network)
    return Picture(frame, picture, told, begin_ns, is_blank(picture, frame.size))


def network_edges(config: PipelineConfig) -> Edges:
    """Wanted shortest and longest edge. May read the header of a checkpoint, never its weights.

    Raises:
        ConfigError: No such model configuration.
        CheckpointError: The checkpoint cannot be read.
    """
    short, long = config.session.short_edge_px, config.session.long_edge_px
    if short is not None and long is not None:
        return short, long
    return network_config(config.model).edges_px(short, long)
