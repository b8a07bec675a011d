"""Settings of a session. Checking them loads no torch."""

import math
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

from ssa_stream.errors import ConfigError
from ssa_stream.model import SsaConfig
from ssa_stream.model.preprocess import MaskSizes, frame_sizes

if TYPE_CHECKING:
    from ssa_stream.model.selection import SelectionMode

__all__ = ["SessionConfig", "TrackConfig"]


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackConfig:
    """When two masks in different frames are the same object.

    Attributes:
        min_cosine: Least cosine similarity of a slot's aligned query with the track's last one.
        growth: Boxes of consecutive frames must touch after each is grown by this share of its size on every side;
            allows for motion between frames.
        max_absence_frames: A track that was not seen for more frames than this ends. Its id is not given again.
        min_own_share: Masks of a prompt do not overlap: a pixel that several claim goes to the one that claims it
            most, with some preference for those of the frame before. A slot that keeps less than this share of its
            mask shows what others show, and is dropped. With 0 masks stay as they are and may overlap.
    """

    min_cosine: float = 0.2
    growth: float = 0.5
    max_absence_frames: int = 30
    min_own_share: float = 0.7

    def __post_init__(self) -> None:
        _require(-1 <= self.min_cosine <= 1, f"tracks.min_cosine is {self.min_cosine}; expected -1..1")
        _require(self.growth >= 0, f"tracks.growth is {self.growth}; expected 0 or more")
        _require(
            self.max_absence_frames >= 0, f"tracks.max_absence_frames is {self.max_absence_frames}; expected 0 or more"
        )
        _require(0 <= self.min_own_share <= 1, f"tracks.min_own_share is {self.min_own_share}; expected 0..1")


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionConfig:
    """How a stream is segmented.

    Attributes:
        window: Frames that the video decoder sees at once (`W`).
        half_life_frames: After how many frames the influence of a frame that has left the window halves. Infinity
            never forgets, 0 forgets at once.
        lookahead: Frames to wait for before a frame's masks are final; costs that much latency.
        emit_provisional: With lookahead, also give each frame's masks at once, marked `provisional`.
        mode: `multi` selects every query above the threshold, `single` at most the most probable one.
        threshold: Least probability of a selected query.
        short_edge_px: Shortest edge at the network; None takes the model's own.
        long_edge_px: Limit of the longest edge at the network; None takes the model's own.
        frame_interval_s: Time between frames, to tell how many were lost; None learns it from the stream.
        max_gap_s: A longer pause clears the stream's memory. None follows the stream's rate, see `longest_gap_s`.
        max_prompts: Limit of prompts at a time; each one costs compute.
        tracks: Identity of objects over time.
    """

    window: int = 8
    half_life_frames: float = 16.0
    lookahead: int = 0
    emit_provisional: bool = False
    mode: "SelectionMode" = "multi"
    threshold: float = 0.5
    short_edge_px: int | None = None
    long_edge_px: int | None = None
    frame_interval_s: float | None = None
    max_gap_s: float | None = None
    max_prompts: int = 16
    tracks: TrackConfig = field(default_factory=TrackConfig)

    def __post_init__(self) -> None:
        _require(self.window >= 1, f"window is {self.window} frames; expected at least 1")
        _require(self.half_life_frames >= 0, f"half_life_frames is {self.half_life_frames}; expected 0 or more")
        _require(
            0 <= self.lookahead < self.window,
            f"lookahead is {self.lookahead} frames; expected 0 or more and less than the window ({self.window})",
        )
        _require(self.mode in ("multi", "single"), f"mode is {self.mode!r}; expected 'multi' or 'single'")
        _require(0 <= self.threshold < 1, f"threshold is {self.threshold}; expected 0 or more and less than 1")
        for name in ("short_edge_px", "long_edge_px"):
            value = getattr(self, name)
            _require(value is None or value >= 32, f"{name} is {value}; expected at least 32")
        _require(
            self.frame_interval_s is None or 0 < self.frame_interval_s < math.inf,
            f"frame_interval_s is {self.frame_interval_s}; expected a positive time or none",
        )
        _require(
            self.max_gap_s is None or self.max_gap_s > 0,
            f"max_gap_s is {self.max_gap_s}; expected a positive time, or none to follow the stream's rate",
        )
        _require(self.max_prompts >= 1, f"max_prompts is {self.max_prompts}; expected at least 1")

    def sizes_of(self, source: tuple[int, int], model: SsaConfig, pixel_aspect: Fraction = Fraction(1)) -> MaskSizes:
        """Sizes that frames of a source, `(height, width)` and shape of its pixels, pass through in a network."""
        return frame_sizes(source, model.edges_px(self.short_edge_px, self.long_edge_px), pixel_aspect)

    @property
    def decay(self) -> float:
        """Factor on the weight of the frames that have left the window, per frame."""
        return 0.0 if self.half_life_frames == 0 else 0.5 ** (1 / self.half_life_frames)
