"""What changes over time: the sliding window, the carried video queries, tracks, prompts, and the session of them."""

from ssa_stream.streaming.config import SessionConfig, TrackConfig
from ssa_stream.streaming.prompts import Prompt, PromptAck
from ssa_stream.streaming.results import MaskResult, TrackMask
from ssa_stream.streaming.session import ReferSession
from ssa_stream.streaming.step import SessionState
from ssa_stream.streaming.tracks import UNCONFIRMED_ID

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
