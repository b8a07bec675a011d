"""Masks drawn on the pictures that they belong to, for viewers that draw nothing themselves."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
from av import VideoFrame

from ssa_stream.nodes.gateway.pictures.feed import FeedPicture, VideoFeed
from ssa_stream.nodes.gateway.pictures.slot import NewestSlot
from ssa_stream.protocols import MaskMessage, unpack_labels
from ssa_stream.viz.overlay import DrawnTrack, PromptMasks, draw_masks

__all__ = ["MaskWatcher", "Masks", "OverlayFeed"]

Masks = tuple[MaskMessage, tuple[memoryview, ...]]
"""A message and its buffers."""


class MaskWatcher(Protocol):
    """Who draws by itself, and not every picture."""

    def take_masks(self, picture: FeedPicture, masks: Sequence[Masks]) -> None:
        """A picture has the masks of all its prompts, in their order; there may be none."""

    def forget(self) -> None:
        """Another camera begins: what the one before showed is of no use any more."""


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
        self._watchers: set[MaskWatcher] = set()

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

    def watch(self, watcher: MaskWatcher) -> None:
        """Tell somebody of all pictures from now on."""
        self._watchers.add(watcher)
        self._feed.keeps_pictures += 1

    def unwatch(self, watcher: MaskWatcher) -> None:
        """Do not tell them any more."""
        if watcher in self._watchers:
            self._watchers.discard(watcher)
            self._feed.keeps_pictures -= 1

    def prompts_are(self, ids: Sequence[str]) -> None:
        """These are the prompts of the stream now."""
        self._prompts = list(ids)

    def forget(self) -> None:
        """Let go of the masks so far: another camera begins."""
        self._masks, self._index = {}, -1
        for watcher in self._watchers:
            watcher.forget()

    def picture_came(self) -> None:
        """Where nothing is looked for there are no masks to wait for."""
        if self._watchers and not self._prompts and (picture := self._feed.newest) is not None:
            for watcher in self._watchers:
                watcher.take_masks(picture, ())

    def take(self, message: MaskMessage, buffers: tuple[memoryview, ...]) -> None:
        """Masks came: when they are those of the last prompt of their picture, the picture is shown.

        Raises:
            MessageError: They are damaged.
        """
        if not (self._viewers or self._watchers):
            return
        if message.frame.index != self._index:
            self._index, self._masks = message.frame.index, {}
        self._masks[message.prompt.id] = message, buffers
        picture = self._feed.picture_of(message.frame)
        if picture is None or not all(one in self._masks for one in self._prompts):
            return
        # Colours follow from the prompts in their own order, not from that in which their masks came.
        masks = [self._masks[one] for one in dict.fromkeys((*self._prompts, *self._masks))]
        for watcher in self._watchers:
            watcher.take_masks(picture, masks)
        if not self._viewers:
            return
        rgb = np.asarray(picture.frame.to_ndarray(format="rgb24"), dtype=np.uint8)
        image = draw_masks(rgb, [_prompt_masks(*one, rgb.shape[:2]) for one in masks])
        shown = replace(picture, frame=VideoFrame.from_ndarray(image, format="rgb24"))
        for slot in self._viewers:
            slot.put(shown)


def _prompt_masks(message: MaskMessage, buffers: tuple[memoryview, ...], size: tuple[int, ...]) -> PromptMasks:
    """What to draw of a message; masks of another size than the picture's are counted only.

    Raises:
        MessageError: It is damaged.
    """
    maps = unpack_labels(message, buffers)
    tracks = [
        DrawnTrack(track.id, track.score, track.box_xyxy, maps.mask(track))
        for track in message.tracks
        if track.area_px and message.size == size
    ]
    return PromptMasks(message.prompt.id, message.prompt.text, len(message.tracks), tracks)
