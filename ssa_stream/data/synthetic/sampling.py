"""From a seed to a scene."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from ssa_stream.data.synthetic.appearance import COLOURS, HELD_OUT_PAIRS, RADII, SIZES, TEXTURES, Appearance
from ssa_stream.data.synthetic.background import sample_background
from ssa_stream.data.synthetic.motion import MotionProgram
from ssa_stream.data.synthetic.programs import Stage, overtaking_pair, sample_program
from ssa_stream.data.synthetic.scene import CameraJitter, Occluder, Scene, SceneObject
from ssa_stream.data.synthetic.seeds import Split, generator, scene_seed
from ssa_stream.data.synthetic.shapes import ROTATION_SHOWS, SHAPES
from ssa_stream.errors import ConfigError

__all__ = ["SceneConfig", "sample_scene"]

_SCENE_STREAM: Final = 1
_PLACEMENT_TRIES: Final = 12


@dataclass(frozen=True, slots=True)
class SceneConfig:
    """What scenes are drawn from.

    Attributes:
        size: Height and width of the frames in pixels.
        fps: Frame rate; only the speed in pixels a frame depends on it, through `num_frames`.
        num_frames: Length of the clips that motions are timed for: within one, things visibly move.
        min_objects: Fewest objects in a scene.
        max_objects: Most objects in a scene.
        distractors: Chance that an object borrows looks from an earlier one, so that one word is not enough.
        occluders: Chance of still grey blocks.
        jitter: Chance of a shaking camera.
        overtaking: Chance that two objects are a passing pair.
    """

    size: tuple[int, int] = (128, 224)
    fps: float = 12.0
    num_frames: int = 12
    min_objects: int = 2
    max_objects: int = 6
    distractors: float = 0.55
    occluders: float = 0.25
    jitter: float = 0.25
    overtaking: float = 0.12

    def __post_init__(self) -> None:
        if not 1 <= self.min_objects <= self.max_objects <= 32:
            raise ConfigError(
                f"objects range is {self.min_objects} to {self.max_objects}; expected 1 <= min <= max <= 32"
            )
        if self.num_frames < 1:
            raise ConfigError(f"num_frames is {self.num_frames}; expected 1 or more")
        if min(self.size) < 16:
            raise ConfigError(f"size is {self.size}; expected (height, width) of at least 16 each")
        if not 0.0 < self.fps <= 1000.0:
            raise ConfigError(f"fps is {self.fps}; expected 0 < fps <= 1000")


def sample_scene(seed: int, *, split: Split = "train", config: SceneConfig | None = None) -> Scene:
    """Draw a scene; equal arguments give the same scene on every machine.

    Args:
        seed: Number of the scene within its split.
        split: Which range of seeds; `train` never shows a held-out colour and shape pair, the other
            splits show them often.
        config: What to draw from; the defaults suit training clips.

    Raises:
        ConfigError: If the seed or the split is out of range.
    """
    config = config or SceneConfig()
    full_seed = scene_seed(split, seed)
    rng = generator(full_seed, _SCENE_STREAM)
    height, width = config.size
    unit = min(height, width)
    clip_s = max(config.num_frames, 8) / config.fps
    stage = Stage(width / unit, height / unit, clip_s, config.fps)
    count = int(rng.integers(config.min_objects, config.max_objects + 1))
    looks = _sample_looks(rng, count, config.distractors, split)
    motions = _sample_motions(rng, stage, looks)
    if count >= 2 and rng.uniform() < config.overtaking:
        motions[:2] = overtaking_pair(rng, stage, (looks[0].radius, looks[1].radius))
    depths = rng.permutation(count)
    objects = [
        SceneObject(number + 1, look, motion, float(depth))
        for number, (look, motion, depth) in enumerate(zip(looks, motions, depths, strict=True))
    ]
    blocks = _sample_occluders(rng, stage, count) if rng.uniform() < config.occluders else ()
    jitter = _sample_jitter(rng) if rng.uniform() < config.jitter else CameraJitter()
    return Scene(full_seed, split, width, height, config.fps, sample_background(rng), tuple(objects), blocks, jitter)


def _sample_looks(rng: np.random.Generator, count: int, distractors: float, split: Split) -> list[Appearance]:
    looks: list[Appearance] = []
    for _ in range(count):
        look = _sample_look(rng, split)
        if looks and rng.uniform() < distractors:
            look = _borrow(rng, look, looks[int(rng.integers(len(looks)))], split)
        looks.append(look)
    return looks


def _sample_look(rng: np.random.Generator, split: Split) -> Appearance:
    if split != "train" and rng.uniform() < 0.25:
        pairs = sorted(HELD_OUT_PAIRS)
        colour, shape = pairs[int(rng.integers(len(pairs)))]
    else:
        colour, shape = str(rng.choice(list(COLOURS))), str(rng.choice(SHAPES))
        while split == "train" and (colour, shape) in HELD_OUT_PAIRS:
            colour, shape = str(rng.choice(list(COLOURS))), str(rng.choice(SHAPES))
    texture = "plain" if rng.uniform() < 0.5 else str(rng.choice(TEXTURES[1:]))
    size = SIZES[int(rng.choice(3, p=(0.3, 0.4, 0.3)))]
    outlined = texture == "plain" and bool(rng.uniform() < 0.5)
    return Appearance(shape, colour, texture, size, float(rng.uniform(*RADII[size])), _shade(rng, colour), outlined)


def _shade(rng: np.random.Generator, colour: str) -> tuple[int, int, int]:
    shifts = rng.integers(-9, 10, 3)
    red, green, blue = (min(255, max(0, c + int(s))) for c, s in zip(COLOURS[colour], shifts, strict=True))
    return (red, green, blue)


def _borrow(rng: np.random.Generator, look: Appearance, other: Appearance, split: Split) -> Appearance:
    chance = rng.uniform()
    if chance < 0.35:
        borrowed = replace(look, shape=other.shape)
    elif chance < 0.6:
        borrowed = replace(look, colour=other.colour, rgb=_shade(rng, other.colour))
    elif chance < 0.85:
        borrowed = replace(look, shape=other.shape, colour=other.colour, rgb=_shade(rng, other.colour))
    else:
        borrowed = replace(other)
    return look if split == "train" and borrowed.is_held_out else borrowed


def _sample_motions(rng: np.random.Generator, stage: Stage, looks: list[Appearance]) -> list[MotionProgram]:
    """Draw the motions, where possible such that objects do not begin on top of each other."""
    motions: list[MotionProgram] = []
    for look in looks:
        may_spin = look.shape in ROTATION_SHOWS or look.texture in ("striped", "checkered")
        for _ in range(_PLACEMENT_TRIES):
            motion = sample_program(rng, stage, look.radius, may_spin=may_spin)
            gaps = (
                np.hypot(motion.x - other.x, motion.y - other.y) - 0.9 * (look.radius + neighbour.radius)
                for other, neighbour in zip(motions, looks, strict=False)
            )
            if all(gap > 0.0 for gap in gaps):
                break
        motions.append(motion)
    return motions


def _sample_occluders(rng: np.random.Generator, stage: Stage, count: int) -> tuple[Occluder, ...]:
    blocks = []
    for _ in range(int(rng.integers(1, 3))):
        x, y = float(rng.uniform(0.1, 0.9)) * stage.width, float(rng.uniform(0.1, 0.9)) * stage.height
        half_width, half_height = float(rng.uniform(0.03, 0.08)), float(rng.uniform(0.2, 0.6))
        if rng.uniform() < 0.3:
            half_width, half_height = half_height, half_width
        depth = float(count) if rng.uniform() < 0.7 else float(rng.uniform(0.0, count))
        blocks.append(Occluder(x, y, half_width, half_height, int(rng.integers(70, 175)), depth))
    return tuple(blocks)


def _sample_jitter(rng: np.random.Generator) -> CameraJitter:
    first, second = (float(rate) for rate in rng.uniform(4.0, 11.0, 2))
    a, b, c, d = (float(phase) for phase in rng.uniform(0.0, 2.0 * np.pi, 4))
    return CameraJitter(float(rng.uniform(0.008, 0.02)), (first, second), (a, b, c, d))
