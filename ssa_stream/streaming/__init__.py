"""What changes over time: the sliding window, the carried video queries, tracks, prompts, and the session of them."""

from typing import TYPE_CHECKING

from ssa_stream.lazy_names import lazy_names
from ssa_stream.streaming.config import SessionConfig, TrackConfig
from ssa_stream.streaming.prompts import Prompt, PromptAck
from ssa_stream.streaming.results import MaskResult, TrackMask

if TYPE_CHECKING:
    from ssa_stream.streaming.session import ReferSession
    from ssa_stream.streaming.step import SessionState
    from ssa_stream.streaming.tracks import UNCONFIRMED_ID
else:
    __getattr__ = lazy_names(
        __name__,
        session="ReferSession",
        step="SessionState",
        tracks="UNCONFIRMED_ID",
    )

__all__ = [
    "UNCONFIRMED_ID",
    "MaskResult",
    "Prompt",
    "PromptAck",
    "ReferSession",
    "SessionConfig",
    "SessionState",
    "TrackConfig",
    "TrackMask",
]
