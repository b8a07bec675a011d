"""The frozen description of a synthetic scene, from which every frame follows.

Lengths are in units of the frame's shorter side.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ssa_stream.data.synthetic.appearance import Appearance
from ssa_stream.data.synthetic.background import Background
from ssa_stream.data.synthetic.motion import MotionProgram, trajectory
from ssa_stream.data.synthetic.seeds import Split
from ssa_stream.errors import ConfigError

__all__ = ["CameraJitter", "Occluder", "Scene", "SceneObject", "require_size"]

_LEAST_PX = 16


def require_size(width: int, height: int) -> None:
    """Refuse a picture in which nothing can be seen.

    Args:
        width: In pixels.
        height: In pixels.
    Raises:
        ConfigError: It is too small.
    """
    if min(width, height) < _LEAST_PX:
        raise ConfigError(f"scene is {width}x{height} pixels; expected at least {_LEAST_PX}x{_LEAST_PX}")


@dataclass(frozen=True, slots=True)
class SceneObject:
    """A moving object; of two that overlap, the one with the greater `depth` is in front."""

    object_id: int
    appearance: Appearance
    motion: MotionProgram
    depth: float


@dataclass(frozen=True, slots=True)
class Occluder:
    """A still grey block that objects pass behind (or in front of); never the target of a sentence."""

    x: float
    y: float
    half_width: float
    half_height: float
    grey: int
    depth: float


@dataclass(frozen=True, slots=True)
class CameraJitter:
    """A shaking camera: two slow sine waves an axis."""

    amplitude: float = 0.0
    rates: tuple[float, float] = (1.0, 1.7)  # radians a second
    phases: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)

    def offset(self, seconds: float) -> tuple[float, float]:
        """Give the shift of the picture at a time, right and down."""
        waves = [
            np.sin(rate * seconds + phase) for rate, phase in zip((*self.rates, *self.rates), self.phases, strict=True)
        ]
        half = 0.5 * self.amplitude
        return float(half * (waves[0] + waves[1])), float(half * (waves[2] + waves[3]))


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything about a scene; `render(scene, t)` draws frame `t` for any `t >= 0`."""

    seed: int
    split: Split
    width: int
    height: int
    fps: float
    background: Background
    objects: tuple[SceneObject, ...]
    occluders: tuple[Occluder, ...] = ()
    jitter: CameraJitter = CameraJitter()

    def __post_init__(self) -> None:
        require_size(self.width, self.height)
        if not 0.0 < self.fps <= 1000.0:
            raise ConfigError(f"scene runs at {self.fps} fps; expected 0 < fps <= 1000")

    @property
    def unit_px(self) -> int:
        """The unit of length in pixels: the frame's shorter side."""
        return min(self.width, self.height)

    @property
    def ids(self) -> tuple[int, ...]:
        """The objects' ids, in the order of the masks."""
        return tuple(thing.object_id for thing in self.objects)

    def trajectories(self, t0: int, num_frames: int) -> npt.NDArray[np.float64]:
        """Give all poses over frames `t0` to `t0 + num_frames - 1`, without camera jitter.

        Returns:
            `(N, T, 4)` float64: x, y, angle (radians, clockwise), scale.
        """
        seconds = np.arange(t0, t0 + num_frames, dtype=np.float64) / self.fps
        poses = [trajectory(thing.motion, seconds) for thing in self.objects]
        return np.stack(poses) if poses else np.zeros((0, num_frames, 4))
