"""Settings that the books of a stream follow."""

from dataclasses import dataclass

__all__ = ["StreamRules"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRules:
    """Settings of a stream that its ledger follows.

    Attributes:
        stream: Its name.
        node: Name of the node that ingests it.
        clock: Name of that node's clock.
        window: Frames that the video decoder sees at once.
        lookahead: Frames that a frame waits for.
        capacity: Most unfinished frames, those that wait for later ones included.
        max_gap_s: A longer pause clears the stream's memory.
    """

    stream: str
    node: str
    clock: str
    window: int
    lookahead: int
    capacity: int
    max_gap_s: float
