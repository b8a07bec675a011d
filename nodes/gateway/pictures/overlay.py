"""Masks drawn on the pictures that they belong to, for viewers that draw nothing themselves."""

from collections.abc import Sequence

import numpy as np
from av import VideoFrame
from numpy.typing import NDArray

from ssa_stream.nodes.gateway.pictures.feed import FeedPicture, VideoFeed
from ssa_stream.nodes.gateway.pictures.slot import NewestSlot
from ssa_stream.protocols import MaskMessage, unpack_labels
from ssa_stream.viz.annotators import Mark, annotate
from ssa_stream.viz.colours import prompt_colours, track_colour
from ssa_stream.viz.text import draw_strip, text_scale

__all__ = ["OverlayFeed", "drawn"]

_OPACITY = 0.45
Masks = tuple[MaskMessage, tuple[memoryview, ...]]


class OverlayFeed:
    """A feed of the pictures that have masks, each with those of all its prompts.

    Args:
        feed: The pictures.
    """

    def __init__(self, feed: VideoFeed) -> None:
        self._feed = feed
        self._prompts: list[str] = []
        self._viewers: set[NewestSlot[FeedPicture]] = set()
        self._masks: dict[str, Masks] = {}
        self._index = -1

    def join(self) -> NewestSlot[FeedPicture]:
        """A slot that gets all pictures from now on."""
        slot: NewestSlot[FeedPicture] = NewestSlot()
        self._viewers.add(slot)
        self._feed.keeps_pictures += 1
        return slot

    def leave(self, slot: NewestSlot[FeedPicture]) -> None:
        """The slot gets none any more."""
        if slot in self._viewers:
            self._viewers.discard(slot)
            self._feed.keeps_pictures -= 1
        slot.close()

    def prompts_are(self, ids: Sequence[str]) -> None:
        """These are the prompts of the stream now."""
        self._prompts = list(ids)

    def take(self, message: MaskMessage, buffers: tuple[memoryview, ...]) -> None:
        """Masks came: when they are those of the last prompt of their picture, the picture is shown.

        Raises:
            MessageError: They are damaged.
        """
        if not self._viewers:
            return
        if message.frame.index != self._index:
            self._index, self._masks = message.frame.index, {}
        self._masks[message.prompt.id] = message, buffers
        picture = self._feed.picture_of(message.frame)
        if picture is None or not all(one in self._masks for one in self._prompts):
            return
        image = drawn(np.asarray(picture.frame.to_ndarray(format="rgb24"), dtype=np.uint8), list(self._masks.values()))
        shown = FeedPicture(picture.pts, VideoFrame.from_ndarray(image, format="rgb24"), picture.sender_ns)
        for slot in self._viewers:
            slot.put(shown)


def drawn(image: NDArray[np.uint8], masks: Sequence[Masks]) -> NDArray[np.uint8]:
    """Draw masks, boxes and labels on a copy of a picture, as `ssa_stream.viz.draw_overlay` does.

    Args:
        image: `(H, W, 3)` uint8 RGB.
        masks: Messages with their buffers.
    Raises:
        MessageError: A message is damaged.
    """
    colours = prompt_colours(message.prompt.id for message, _ in masks)
    scale, marks = text_scale(*image.shape[:2]), []
    for message, buffers in masks:
        maps = unpack_labels(message, buffers)
        for track in message.tracks:
            if track.area_px and message.size == image.shape[:2]:
                text = f"#{track.id} {message.prompt.text[:24]} {track.score:.2f}"
                colour = track_colour(track.id)
                box = (track.box_xyxy[0], track.box_xyxy[1], track.box_xyxy[2], track.box_xyxy[3])
                marks.append(Mark(maps.mask(track), box, text, colour, colours[message.prompt.id]))
    bgr = annotate(np.ascontiguousarray(image[..., ::-1]), marks, opacity=_OPACITY, text_scale=scale)
    lines = [
        (colours[message.prompt.id], f"{message.prompt.text}: {len(message.tracks) or 'no target'}")
        for message, _ in masks
    ]
    draw_strip(bgr, lines, scale=scale)
    return np.ascontiguousarray(bgr[..., ::-1])
