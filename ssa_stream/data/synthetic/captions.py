"""Pictures whose objects have captions, for contrastive pre-training with the scenes and words of the sentences."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ssa_stream.data.synthetic.appearance import COLOURS, TEXTURES, Appearance
from ssa_stream.data.synthetic.background import Background
from ssa_stream.data.synthetic.predicates import Attributes
from ssa_stream.data.synthetic.render import FrameLabels, renderer
from ssa_stream.data.synthetic.sampling import SceneConfig, sample_scene
from ssa_stream.data.synthetic.scene import Scene
from ssa_stream.data.synthetic.seeds import Split, generator
from ssa_stream.data.synthetic.shapes import SHAPES
from ssa_stream.data.synthetic.wording import Wording, noun_phrase

__all__ = [
    "ATTRIBUTES",
    "CaptionedObject",
    "CaptionedPicture",
    "caption_of",
    "captioned_picture",
    "crop_object",
    "sample_captioned_picture",
]

_CAPTION_STREAM: Final = 4
_SEEN_FRACTION: Final = 0.5
_LEAST_PX: Final = 20
_LATEST_FRAME: Final = 200
_NEW_WORDS: Final = 0.4
"""How often words that are held out of training are used outside of it."""
_BRIEF: Final = 0.5
_BRIEF_ATTRIBUTES: Final = ("shape", "texture", "colour")
_BRIEF_SHARES: Final = (0.55, 0.3, 0.15)
_BACKDROPS: Final = {
    "flat": ("plain", "empty"),
    "gradient": ("smooth", "shaded"),
    "noise": ("noisy", "grainy"),
    "blobs": ("blurry", "cloudy"),
    "tiles": ("tiled", "brick"),
    "waves": ("wavy", "rippled"),
}


ATTRIBUTES: Final[Mapping[str, tuple[str, ...]]] = {"shape": SHAPES, "colour": tuple(COLOURS), "texture": TEXTURES}
"""What looks are made of, and all that each can be."""

Facts = frozenset[tuple[str, str]]
"""Attributes of an object by name, such as `("colour", "red")`."""


@dataclass(frozen=True)
class CaptionedObject:
    """An object of a picture and what is said of it.

    Attributes:
        mask: Where it is seen, `(H, W)` bool.
        appearance: Its looks.
        caption: What is said of it.
        claims: Attributes that the caption names.
        facts: Attributes that are true of the object; the claims are among them. A caption fits every object whose
            facts hold all of its claims.
    """

    mask: npt.NDArray[np.bool_]
    appearance: Appearance
    caption: str
    claims: Facts
    facts: Facts


@dataclass(frozen=True)
class CaptionedPicture:
    """A picture, `(H, W, 3)` uint8 RGB, and the objects that it shows by more than half."""

    image: npt.NDArray[np.uint8]
    objects: tuple[CaptionedObject, ...]


def captioned_picture(scene: Scene, t: int, rng: np.random.Generator) -> CaptionedPicture:
    """Caption the objects of a frame.

    Args:
        scene: The scene.
        t: Frame number.
        rng: Source of chance, for the words.
    """
    image, labels = renderer(scene).frame(t)
    is_held_out = scene.split in ("val", "test") and rng.uniform() < _NEW_WORDS
    wording = Wording(rng, "all" if is_held_out else "trained")
    objects = []
    for index in np.flatnonzero(_is_shown(labels)):
        look = scene.objects[index].appearance
        caption, claims = _object_caption(scene, int(index), wording)
        facts = _facts(Attributes(look.shape, look.colour, look.texture), scene.background)
        objects.append(CaptionedObject(labels.masks[index], look, caption, claims, facts))
    return CaptionedPicture(image, tuple(objects))


def sample_captioned_picture(seed: int, size: tuple[int, int] = (96, 160), split: Split = "train") -> CaptionedPicture:
    """Draw a captioned picture; equal arguments give the same pixels and words on every machine.

    Raises:
        ConfigError: If the seed or the split is out of range.
    """
    scene = sample_scene(seed, split=split, config=SceneConfig(size=size))
    rng = generator(scene.seed, _CAPTION_STREAM)
    return captioned_picture(scene, int(rng.integers(_LATEST_FRAME)), rng)


def crop_object(
    picture: CaptionedPicture, index: int, side_px: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """Cut a square around an object, at the picture's own scale and not quite centred; edges are repeated outwards.

    Args:
        picture: The picture.
        index: Which of its objects.
        side_px: Side of the square.
        rng: Source of chance, for the framing.
    Returns:
        Pixels `(side_px, side_px, 3)` uint8 and the object's mask `(side_px, side_px)` bool.
    """
    mask = picture.objects[index].mask
    corner = []
    for axis in (1, 0):
        seen = np.flatnonzero(mask.any(axis=axis))
        shift = int(rng.integers(-side_px // 6, side_px // 6 + 1))
        corner.append((int(seen[0]) + int(seen[-1])) // 2 + side_px // 2 + shift)  # of the padded picture
    window = tuple(slice(start, start + side_px) for start in corner)
    border = (side_px, side_px)
    pixels = np.pad(picture.image, (border, border, (0, 0)), mode="edge")[window]
    return pixels, np.pad(mask, (border, border))[window]


def _object_caption(scene: Scene, index: int, wording: Wording) -> tuple[str, Facts]:
    """Say what an object looks like, at varied length and in varied words; what is said, and what it claims."""
    look = scene.objects[index].appearance
    if wording.chance(_BRIEF):  # one attribute alone: else colour, the easiest, answers nearly every question
        attribute = _BRIEF_ATTRIBUTES[int(wording.rng.choice(len(_BRIEF_ATTRIBUTES), p=_BRIEF_SHARES))]
        named = Attributes(**{attribute: getattr(look, attribute)})
    else:
        has_texture = look.texture != "plain" or wording.chance(0.1)
        texture = look.texture if has_texture and wording.chance(0.65) else None
        colour = look.colour if wording.chance(0.92) else None
        shape = look.shape if wording.chance(0.92) or colour is None else None
        named = Attributes(shape, colour, texture)
    background = scene.background if wording.chance(0.15) else None
    return caption_of(noun_phrase(named, wording), background, wording), _facts(named, background)


def _facts(named: Attributes, background: Background | None) -> Facts:
    looks = {"shape": named.shape, "colour": named.colour, "texture": named.texture}
    attributes = {(name, value) for name, value in looks.items() if value is not None}
    if background is not None:
        attributes.add(("background", f"{background.kind}, {'dark' if background.is_dark else 'light'}"))
    return frozenset(attributes)


def _is_shown(labels: FrameLabels) -> npt.NDArray[np.bool_]:
    visible = np.count_nonzero(labels.masks, axis=(1, 2))
    return np.asarray(visible > np.maximum(_SEEN_FRACTION * labels.whole_px, _LEAST_PX))


def caption_of(phrase: str, background: Background | None, wording: Wording) -> str:
    """Put looks into a caption.

    Args:
        phrase: The looks, without an article.
        background: Said too, unless it is None.
        wording: Chooses the words.
    """
    behind = "" if background is None else _on(background, wording)
    forms = ["{a}", "{a}", "a picture of {a}", "a photo of {a}", "an image of {a}", "the {bare}", "{bare}"]
    return wording.pick(forms).format(a=_a(phrase), bare=phrase) + behind


def _on(background: Background, wording: Wording) -> str:
    tone = "dark" if background.is_dark else "light"
    return f" on {_a(wording.pick((tone, *_BACKDROPS[background.kind])))} background"


def _a(phrase: str) -> str:
    return f"an {phrase}" if phrase[0] in "aeiou" else f"a {phrase}"
