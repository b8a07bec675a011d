"""Images with captions for contrastive pre-training, from the same scenes and words as the sentences."""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from ssa_stream.data.synthetic.background import Background
from ssa_stream.data.synthetic.motion import Box, MotionProgram
from ssa_stream.data.synthetic.predicates import Attributes
from ssa_stream.data.synthetic.render import FrameLabels, render_labels, renderer
from ssa_stream.data.synthetic.sampling import SceneConfig, sample_scene
from ssa_stream.data.synthetic.scene import Scene
from ssa_stream.data.synthetic.seeds import Split, generator
from ssa_stream.data.synthetic.wording import Wording, noun_phrase
from ssa_stream.errors import ConfigError

__all__ = [
    "CaptionedImage",
    "object_crop",
    "sample_object_crop",
    "sample_scene_image",
    "scene_caption",
]

_CROP_STREAM: Final = 4
_SCENE_IMAGE_STREAM: Final = 5
_SEEN_FRACTION: Final = 0.5
_CANVAS_PX: Final = 208
_LATEST_FRAME: Final = 200
_FRAME_TRIES: Final = 12
_BRIEF: Final = 0.5
_BRIEF_ASPECTS: Final = ("shape", "texture", "colour")
_BRIEF_SHARES: Final = (0.55, 0.3, 0.15)
_NUMBERS: Final = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}
_BACKDROPS: Final = {
    "flat": ("plain", "empty"),
    "gradient": ("smooth", "shaded"),
    "noise": ("noisy", "grainy"),
    "blobs": ("blurry", "cloudy"),
    "tiles": ("tiled", "brick"),
    "waves": ("wavy", "rippled"),
}


Aspects = frozenset[tuple[str, str]]
"""Aspects of a picture by name, such as `("colour", "red")`."""


@dataclass(frozen=True)
class CaptionedImage:
    """An image and what it shows.

    Attributes:
        image: `(H, W, 3)` uint8 RGB.
        caption: What is said of it.
        claims: Aspects that the caption names.
        facts: Aspects that are true of the image; the claims are among them. A caption fits every image whose facts
            hold all of its claims.
    """

    image: npt.NDArray[np.uint8]
    caption: str
    claims: Aspects
    facts: Aspects


def object_crop(scene: Scene, object_id: int, t: int, size: int, rng: np.random.Generator) -> CaptionedImage:
    """Cut one object out of a frame, with some of what is around it.

    Args:
        scene: The scene.
        object_id: Which object; it must be visible in the frame.
        t: Frame number.
        size: Side of the square image in pixels.
        rng: Source of chance, for the framing and the words.

    Raises:
        ConfigError: If the scene has no such object, or the frame does not show it.
    """
    if object_id not in scene.ids:
        raise ConfigError(f"object {object_id} was asked for; the scene has {list(scene.ids)}")
    index = scene.ids.index(object_id)
    image, labels = renderer(scene).frame(t)
    mask = labels.masks[index]
    if not mask.any():
        raise ConfigError(f"object {object_id} is not visible in frame {t}; choose another frame")
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    centre = np.array([columns[0] + columns[-1], rows[0] + rows[-1]]) / 2.0
    side = max(columns[-1] - columns[0], rows[-1] - rows[0], 4) + 1
    window = side * rng.uniform(1.1, 1.9)
    centre = centre + rng.uniform(-0.3, 0.3, 2) * (window - side)
    caption, claims = _object_caption(scene, index, _wording(scene, rng))
    look = scene.objects[index].appearance
    return CaptionedImage(
        _cut(image, centre, float(window), size),
        caption,
        claims,
        _aspects(Attributes(look.shape, look.colour, look.texture), scene.background),
    )


def _object_caption(scene: Scene, index: int, wording: Wording) -> tuple[str, Aspects]:
    """Say what an object looks like, at varied length and in varied words; what is said, and what it claims."""
    look = scene.objects[index].appearance
    if wording.chance(_BRIEF):  # one aspect alone: else colour, the easiest, answers nearly every question
        aspect = _BRIEF_ASPECTS[int(wording.rng.choice(len(_BRIEF_ASPECTS), p=_BRIEF_SHARES))]
        named = Attributes(**{aspect: getattr(look, aspect)})
    else:
        has_texture = look.texture != "plain" or wording.chance(0.1)
        texture = look.texture if has_texture and wording.chance(0.65) else None
        colour = look.colour if wording.chance(0.92) else None
        shape = look.shape if wording.chance(0.92) or colour is None else None
        named = Attributes(shape, colour, texture)
    background = scene.background if wording.chance(0.15) else None
    return _framed(noun_phrase(named, wording), background, wording), _aspects(named, background)


def _aspects(named: Attributes, background: Background | None) -> Aspects:
    looks = {"shape": named.shape, "colour": named.colour, "texture": named.texture}
    aspects = {(name, value) for name, value in looks.items() if value is not None}
    if background is not None:
        aspects.add(("background", f"{background.kind}, {'dark' if background.is_dark else 'light'}"))
    return frozenset(aspects)


def scene_caption(scene: Scene, t: int, wording: Wording) -> str:
    """Say which objects a frame shows: "two red stars and a blue ring"."""
    return _scene_caption(scene, render_labels(scene, t), wording)


def sample_object_crop(seed: int, size: int, split: Split = "train") -> CaptionedImage:
    """Draw one captioned object; equal arguments give the same image and words on every machine.

    Raises:
        ConfigError: If the seed or the split is out of range.
    """
    scene, rng = _sample(seed, split, _CROP_STREAM)
    scene, t, shown = _telling_frame(scene, rng)
    return object_crop(scene, scene.ids[int(rng.choice(shown))], t, size, rng)


def sample_scene_image(seed: int, size: int, split: Split = "train") -> CaptionedImage:
    """Draw one captioned scene as a square image; equal arguments give the same result on every machine.

    Raises:
        ConfigError: If the seed or the split is out of range.
    """
    scene, rng = _sample(seed, split, _SCENE_IMAGE_STREAM)
    scene, t, _ = _telling_frame(scene, rng)
    image, labels = renderer(scene).frame(t)
    resized = np.asarray(cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA), np.uint8)
    caption = _scene_caption(scene, labels, _wording(scene, rng))
    said = frozenset({("scene", caption)})  # whether it fits another scene is not worked out
    return CaptionedImage(resized, caption, said, said)


def _sample(seed: int, split: Split, stream: int) -> tuple[Scene, np.random.Generator]:
    config = SceneConfig(size=(_CANVAS_PX, _CANVAS_PX), min_objects=1, max_objects=4)
    scene = sample_scene(seed, split=split, config=config)
    return scene, generator(scene.seed, stream)


def _telling_frame(scene: Scene, rng: np.random.Generator) -> tuple[Scene, int, npt.NDArray[np.intp]]:
    """Find a frame that shows some object well; a scene that hides all of them is made to show one."""
    for _ in range(_FRAME_TRIES):
        t = int(rng.integers(_LATEST_FRAME))
        shown = np.flatnonzero(_is_shown(render_labels(scene, t)))
        if len(shown):
            return scene, t, shown
    middle_x, middle_y = scene.width / scene.unit_px / 2.0, scene.height / scene.unit_px / 2.0
    still = MotionProgram(middle_x, middle_y, Box(0.0, 0.0, 2.0 * middle_x, 2.0 * middle_y))
    alone = replace(scene, objects=(replace(scene.objects[0], motion=still),), occluders=())
    return alone, 0, np.zeros(1, np.intp)


def _wording(scene: Scene, rng: np.random.Generator) -> Wording:
    return Wording(rng, scene.split in ("val", "test") and bool(rng.uniform() < 0.4))


def _is_shown(labels: FrameLabels) -> npt.NDArray[np.bool_]:
    visible = np.count_nonzero(labels.masks, axis=(1, 2))
    return np.asarray(visible > np.maximum(_SEEN_FRACTION * labels.whole_px, 1.0))


def _cut(
    image: npt.NDArray[np.uint8], centre: npt.NDArray[np.float64], window: float, size: int
) -> npt.NDArray[np.uint8]:
    scale = window / size
    corner = centre - window / 2.0 + scale / 2.0 - 0.5
    to_image = np.array([[scale, 0.0, corner[0]], [0.0, scale, corner[1]]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    cut = cv2.warpAffine(image, to_image, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cut, np.uint8)


def _scene_caption(scene: Scene, labels: FrameLabels, wording: Wording) -> str:
    looks = [scene.objects[index].appearance for index in np.flatnonzero(_is_shown(labels))]
    parts = []
    for (colour, shape), count in Counter((look.colour, look.shape) for look in looks).items():
        phrase = noun_phrase(Attributes(shape, colour), wording, plural=count > 1)
        parts.append(f"{_NUMBERS.get(count, 'many')} {phrase}" if count > 1 else _a(phrase))
    if not parts:
        return _framed("background", None, wording)
    listed = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    return listed + _on(scene.background, wording) if wording.chance(0.3) else listed


def _framed(phrase: str, background: Background | None, wording: Wording) -> str:
    behind = "" if background is None else _on(background, wording)
    forms = ["{a}", "{a}", "a picture of {a}", "a photo of {a}", "an image of {a}", "the {bare}", "{bare}"]
    return wording.pick(forms).format(a=_a(phrase), bare=phrase) + behind


def _on(background: Background, wording: Wording) -> str:
    tone = "dark" if background.is_dark else "light"
    return f" on {_a(wording.pick((tone, *_BACKDROPS[background.kind])))} background"


def _a(phrase: str) -> str:
    return f"an {phrase}" if phrase[0] in "aeiou" else f"a {phrase}"
