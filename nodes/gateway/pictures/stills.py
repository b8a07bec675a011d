"""Small pictures with their masks drawn on them, as JPEG, for those who look at many streams at once."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from av.video.reformatter import VideoReformatter

from ssa_stream.nodes.gateway.pictures.feed import FeedPicture
from ssa_stream.nodes.gateway.pictures.overlay import Masks
from ssa_stream.protocols import MaskMessage, unpack_labels
from ssa_stream.viz.overlay import DrawnTrack, PromptMasks, draw_masks

__all__ = ["Still", "make_still"]

_QUALITY = 80


class Still(NamedTuple):
    """A picture with masks.

    Attributes:
        jpeg: The file.
        size: Its height and width.
        found: How many objects it shows, by id of the prompt.
    """

    jpeg: bytes
    size: tuple[int, int]
    found: dict[str, int]


def make_still(picture: FeedPicture, masks: Sequence[Masks], edge_px: int) -> Still:
    """Make a picture small, with square pixels, draw its masks, and encode it. May be called in any thread.

    Args:
        picture: Not changed.
        masks: Of all prompts, in their order; of any size.
        edge_px: Longest edge of the result; a smaller picture keeps its size.
    Raises:
        MessageError: Masks are damaged.
    """
    height, width = picture.shown_size
    shrink = min(1.0, edge_px / max(height, width))
    size = max(1, round(height * shrink)), max(1, round(width * shrink))
    # A reformatter of our own: that of the frame may be in use by a viewer's encoder in another thread.
    small = VideoReformatter().reformat(picture.frame, width=size[1], height=size[0], format="rgb24")
    drawn = [_scaled(*one, size) for one in masks]
    image = draw_masks(np.asarray(small.to_ndarray(), dtype=np.uint8), drawn, strip=False)
    _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return Still(data.tobytes(), size, {one.prompt_id: one.num_targets for one in drawn})


def _scaled(message: MaskMessage, buffers: tuple[memoryview, ...], size: tuple[int, int]) -> PromptMasks:
    """Masks of a message in another size, each pixel from the nearest one."""
    maps = unpack_labels(message, buffers)
    y_scale, x_scale = size[0] / message.size[0], size[1] / message.size[1]
    pixels = np.ix_(*(np.arange(to) * of // to for to, of in zip(size, message.size, strict=True)))
    tracks = []
    for track in message.tracks:
        if not track.area_px:
            continue
        left, top, right, bottom = track.box_xyxy
        box = round(left * x_scale), round(top * y_scale), round(right * x_scale), round(bottom * y_scale)
        tracks.append(DrawnTrack(track.id, track.score, box, maps.mask(track)[pixels]))
    return PromptMasks(message.prompt.id, message.prompt.text, len(tracks), tracks)
