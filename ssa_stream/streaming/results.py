"""What a session returns for a frame: one `MaskResult` per prompt, one `TrackMask` per tracked object."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["MaskResult", "TrackMask"]


@dataclass(frozen=True, slots=True, eq=False)
class TrackMask:
    """One object that a prompt refers to, in one frame.

    Attributes:
        track_id: Identity of the object among those of its prompt: positive, never given to another object of the
            prompt. In a provisional result, `UNCONFIRMED_ID` if no track is known for it yet.
        score: `probability` times the mean mask confidence, 0..1.
        probability: The network's probability that this object is referred to, 0..1.
        box_xyxy: Tight box of the mask in source pixels, left, top, right, bottom; right and bottom exclusive.
        area_px: Number of mask pixels, at least 1.
        mask: `(H, W)` bool at source resolution.
    """

    track_id: int
    score: float
    probability: float
    box_xyxy: tuple[int, int, int, int]
    area_px: int
    mask: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class MaskResult:
    """What one prompt refers to in one frame.

    Attributes:
        prompt_id: Stable name of the prompt within the session.
        prompt: The sentence.
        prompt_version: Grows whenever the prompts of the session change; never mixed within one window.
        frame_index: Number of the frame in this session, from 0.
        t: Time of the frame in seconds, as given to `push`.
        size: Source frame size `(height, width)` in pixels.
        tracks: Objects referred to, by descending score; empty when the prompt has no target in the frame.
        probability: Largest probability over all queries, also when nothing was selected.
        status: `final`, or `provisional` when another result for the same frame will follow.
        frames_missed: Frames lost between the previous frame and this one, judged by their times.
        after_reset: Whether the stream's memory was cleared just before this frame.
    """

    prompt_id: str
    prompt: str
    prompt_version: int
    frame_index: int
    t: float
    size: tuple[int, int]
    tracks: tuple[TrackMask, ...]
    probability: float
    status: Literal["final", "provisional"] = "final"
    frames_missed: int = 0
    after_reset: bool = False

    @property
    def target_present(self) -> bool:
        """Whether the prompt has at least one target in this frame."""
        return bool(self.tracks)

    def merged(self) -> NDArray[np.bool_]:
        """Union of all track masks, `(H, W)` bool."""
        union = np.zeros(self.size, dtype=np.bool_)
        for track in self.tracks:
            union |= track.mask
        return union
