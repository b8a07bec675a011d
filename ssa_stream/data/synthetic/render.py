"""From a scene and a frame number to pixels and exact visible masks."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from ssa_stream.data.synthetic.appearance import draw_sprite
from ssa_stream.data.synthetic.background import draw_background
from ssa_stream.data.synthetic.scene import Occluder, Scene
from ssa_stream.data.synthetic.shapes import SPRITE_EXTENT
from ssa_stream.errors import ConfigError

__all__ = ["FrameLabels", "RenderedFrame", "render", "renderer"]

Image = npt.NDArray[np.uint8]
Masks = npt.NDArray[np.bool_]

_HALF_COVERED: Final = 128


@dataclass(frozen=True, slots=True)
class RenderedFrame:
    """One frame: `image` `(H, W, 3)` uint8 RGB, visible `masks` `(N, H, W)` bool, the objects' `ids`."""

    image: Image
    masks: Masks
    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FrameLabels:
    """What is where, without pixels.

    `masks` are the visible masks `(N, H, W)`; `in_frame_px` `(N,)` counts each object's pixels as if no
    other thing covered it; `whole_px` `(N,)` is its size as if the frame did not end either.
    """

    masks: Masks
    in_frame_px: npt.NDArray[np.int64]
    whole_px: npt.NDArray[np.float64]


def render(scene: Scene, t: int) -> RenderedFrame:
    """Draw frame `t`.

    A mask holds the pixels of which the object covers more than half and which nothing in front of it
    covers by more than half.

    Raises:
        ConfigError: If `t` is negative.
    """
    image, labels = renderer(scene).frame(t)
    return RenderedFrame(image, labels.masks, scene.ids)


@lru_cache(maxsize=8)
def renderer(scene: Scene) -> "SceneRenderer":
    """Give the renderer of a scene; the last few are kept, so that frames can be drawn in any order."""
    return SceneRenderer(scene)


class SceneRenderer:
    """Draws the frames of one scene from sprites and a background made once."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._margin_px = int(np.ceil(scene.jitter.amplitude * scene.unit_px)) + 1
        margin = 2 * self._margin_px
        self._background = draw_background(scene.background, scene.height + margin, scene.width + margin)
        self._sprites = [
            draw_sprite(thing.appearance, thing.appearance.radius * thing.motion.largest_scale * scene.unit_px)
            for thing in scene.objects
        ]
        self._sprite_px = np.array([np.count_nonzero(s[..., 3] >= _HALF_COVERED) for s in self._sprites], np.float64)
        layers: list[tuple[float, int, Occluder | None]] = [
            (thing.depth, index, None) for index, thing in enumerate(scene.objects)
        ]
        layers += [(block.depth, -1, block) for block in scene.occluders]
        self._layers = sorted(layers, key=lambda layer: layer[0])

    def frame(self, t: int) -> tuple[Image, FrameLabels]:
        """Draw frame `t` and say what is where."""
        if t < 0:
            raise ConfigError(f"frame {t} was asked for; expected 0 or more")
        scene = self._scene
        shift_x, shift_y = self._shift(t)
        top, left = self._margin_px - shift_y, self._margin_px - shift_x
        image = self._background[top : top + scene.height, left : left + scene.width].copy()
        labels = np.full((scene.height, scene.width), -1, np.int8)
        in_frame = np.zeros(len(scene.objects), np.int64)
        poses = scene.trajectories(t, 1)[:, 0]
        for _, index, block in self._layers:
            if block is not None:
                self._draw_block(block, image, labels, shift_x, shift_y)
            else:
                in_frame[index] = self._draw_object(index, poses[index], image, labels, shift_x, shift_y)
        masks = labels[None] == np.arange(len(scene.objects), dtype=np.int8)[:, None, None]
        return image, FrameLabels(masks, in_frame, self._whole_px(poses))

    def _shift(self, t: int) -> tuple[int, int]:
        x, y = self._scene.jitter.offset(t / self._scene.fps)
        return round(x * self._scene.unit_px), round(y * self._scene.unit_px)

    def _pixels_per_sprite_pixel(self, index: int, scale: float) -> float:
        thing = self._scene.objects[index]
        side = len(self._sprites[index])
        return scale * thing.appearance.radius * self._scene.unit_px * 2.0 * SPRITE_EXTENT / side

    def _whole_px(self, poses: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        factors = [self._pixels_per_sprite_pixel(index, pose[3]) for index, pose in enumerate(poses)]
        return self._sprite_px * np.array(factors, np.float64) ** 2

    def _draw_object(
        self,
        index: int,
        pose: npt.NDArray[np.float64],
        image: Image,
        labels: npt.NDArray[np.int8],
        shift_x: int,
        shift_y: int,
    ) -> int:
        sprite = self._sprites[index]
        x, y, angle, scale = (float(value) for value in pose)
        factor = self._pixels_per_sprite_pixel(index, scale)
        unit = self._scene.unit_px
        x, y = x * unit - 0.5 + shift_x, y * unit - 0.5 + shift_y  # pixel centres are at whole numbers
        reach = factor * sprite.shape[0] / 2.0
        left, right = max(0, int(np.floor(x - reach))), min(labels.shape[1], int(np.ceil(x + reach)) + 1)
        top, bottom = max(0, int(np.floor(y - reach))), min(labels.shape[0], int(np.ceil(y + reach)) + 1)
        if left >= right or top >= bottom:
            return 0
        cos, sin, middle = np.cos(angle) / factor, np.sin(angle) / factor, (sprite.shape[0] - 1) / 2.0
        x, y = left - x, top - y
        to_sprite = np.array([[cos, sin, middle + cos * x + sin * y], [-sin, cos, middle - sin * x + cos * y]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        patch = np.asarray(cv2.warpAffine(sprite, to_sprite, (right - left, bottom - top), flags=flags), np.uint8)
        below = image[top:bottom, left:right]
        coverage = patch[..., 3]
        blend = below.astype(np.int32)
        blend += (patch[..., :3] - blend) * coverage[..., None] // 255
        below[...] = blend
        own = coverage >= _HALF_COVERED
        labels[top:bottom, left:right][own] = index
        return int(np.count_nonzero(own))

    def _draw_block(
        self, block: Occluder, image: Image, labels: npt.NDArray[np.int8], shift_x: int, shift_y: int
    ) -> None:
        unit = self._scene.unit_px
        left = max(0, round((block.x - block.half_width) * unit) + shift_x)
        right = max(0, round((block.x + block.half_width) * unit) + shift_x)
        top = max(0, round((block.y - block.half_height) * unit) + shift_y)
        bottom = max(0, round((block.y + block.half_height) * unit) + shift_y)
        image[top:bottom, left:right] = max(0, block.grey - 34)
        edge = max(1, unit // 64)
        image[top + edge : max(top, bottom - edge), left + edge : max(left, right - edge)] = block.grey
        labels[top:bottom, left:right] = -1
