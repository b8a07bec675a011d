"""A source that needs no camera, no file and no download: scenes of `ssa_stream.data`, drawn as they are asked for.

Its address is `synthetic[:SEED][@SETTING,SETTING...]`. Without a seed it shows the demo scene, with one the test
scene of that number. The settings, each at most once and in any order:

    640x360      picture size, width x height
    30fps        frames per second
    300frames    length; without it the stream never ends

Examples: `synthetic`, `synthetic:7`, `synthetic@1280x720`, `synthetic:7@640x360,30fps,300frames`.
"""

import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ssa_stream.data import Scene, SceneConfig, demo_scene, render, sample_scene
from ssa_stream.errors import ConfigError, SourceError, misnamed
from ssa_stream.rates import rate_fraction
from ssa_stream.sources.source import Frame, Source, SourceInfo

__all__ = ["SyntheticSource", "SyntheticSpec"]

_ADDRESS = re.compile(r"synthetic(?::(?P<seed>[0-9]{1,18}))?(?:@(?P<settings>.+))?", re.IGNORECASE)
_SIZE = re.compile(r"([0-9]{1,9})x([0-9]{1,9})")
_FPS = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,18})?)fps")
_FRAMES = re.compile(r"([0-9]{1,18})frames")
_HELP = "expected synthetic[:SEED][@WIDTHxHEIGHT,FPSfps,Nframes], such as synthetic:7@640x360,30fps,300frames"


@dataclass(frozen=True, slots=True)
class SyntheticSpec:
    """A parsed address; see the module."""

    seed: int | None = None
    width: int = 640
    height: int = 360
    fps: float = 30.0
    frame_count: int | None = None

    @classmethod
    def parse(cls, address: str) -> "SyntheticSpec":
        """Read an address.

        Raises:
            SourceError: If it does not follow the grammar.
        """
        match = _ADDRESS.fullmatch(address.strip())
        if match is None:
            raise misnamed(SourceError(f"cannot read the address {address!r}: {_HELP}"))
        values: dict[str, int | float] = {} if match["seed"] is None else {"seed": int(match["seed"])}
        for setting in (match["settings"] or "").lower().split(",") if match["settings"] else ():
            parsed = _parse_setting(setting.strip())
            if not parsed or values.keys() & parsed.keys():
                raise misnamed(SourceError(f"cannot read {setting!r} in the address {address!r}: {_HELP}"))
            if parsed.get("frame_count") == 0:
                raise misnamed(SourceError(f"the address {address!r} asks for no frames: expected at least 1frames"))
            values |= parsed
        return cls(**values)  # type: ignore[arg-type]  # only fps is ever a float

    def scene(self) -> Scene:
        """Build the scene.

        Raises:
            SourceError: If size, rate or seed is out of range.
        """
        try:
            if self.seed is None:
                return demo_scene(self.width, self.height, self.fps)
            config = SceneConfig(size=(self.height, self.width), fps=self.fps, num_frames=max(1, round(self.fps)))
            return sample_scene(self.seed, split="test", config=config)
        except ConfigError as error:
            raise misnamed(SourceError(f"cannot draw {self}: {error}")) from error


class SyntheticSource(Source):
    """Draw a scene, either frame after frame as fast as asked, or live at the pace of the clock.

    Live, it does what a camera does: a frame whose time has passed before it was asked for is not drawn, which
    shows as a gap in `seq`.
    """

    def __init__(
        self,
        spec: SyntheticSpec,
        *,
        live: bool,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        """Build the scene.

        Args:
            spec: What to draw.
            live: Whether to keep pace with the clock.
            clock: Seconds on the clock of `time.monotonic`.
            wait: Waits that many seconds, returns True when waiting was ended by `close`. For tests.
        Raises:
            SourceError: If the scene cannot be drawn.
        """
        self._spec = spec
        self._scene = spec.scene()
        self._clock = clock
        self._closed = threading.Event()
        self._wait = wait or self._closed.wait
        name = "synthetic" if spec.seed is None else f"synthetic:{spec.seed}"
        self._info = SourceInfo(name, live, spec.fps, (spec.height, spec.width), spec.frame_count)

    @property
    def info(self) -> SourceInfo:
        """What the address asked for."""
        return self._info

    @property
    def scene(self) -> Scene:
        """What is drawn: frame `seq` is `render(scene, seq)`, so true masks are at hand."""
        return self._scene

    def frames(self) -> Iterator[Frame]:
        """Deliver the frames."""
        start_s = self._clock()
        seq = 0
        while not self._closed.is_set() and (self._spec.frame_count is None or seq < self._spec.frame_count):
            due_s = start_s + seq / self._spec.fps
            if self._info.live and due_s > self._clock() and self._wait(due_s - self._clock()):
                return
            yield self._draw(seq, due_s)
            seq += 1
            if self._info.live:
                seq = max(seq, int((self._clock() - start_s) * self._spec.fps))

    def close(self) -> None:
        """End the stream."""
        self._closed.set()

    def _draw(self, seq: int, due_s: float) -> Frame:
        return Frame(
            image=render(self._scene, seq).image,
            seq=seq,
            epoch=0,
            t=seq / self._spec.fps,
            t_receive_ns=round(self._clock() * 1e9),
            pts=seq,
            time_base=1 / rate_fraction(self._spec.fps),
            t_capture_ns=round(due_s * 1e9) if self._info.live else None,
        )


def _parse_setting(setting: str) -> dict[str, int | float]:
    if match := _SIZE.fullmatch(setting):
        return {"width": int(match[1]), "height": int(match[2])}
    if match := _FPS.fullmatch(setting):
        return {"fps": float(match[1])}
    if match := _FRAMES.fullmatch(setting):
        return {"frame_count": int(match[1])}
    return {}
