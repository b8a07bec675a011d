"""The state of a stream's source and what became of its frames, in words: the same ones wherever they are shown."""

import math
from collections.abc import Mapping
from typing import NamedTuple

from rich.text import Text

from ssa_stream.cli.views.console import shown
from ssa_stream.protocols import SourceState

__all__ = ["SourceNews", "SourceWords", "frame_counts", "latency_words", "source_text", "source_words", "speed_words"]

_COLOURS = {
    "running": "green", "starting": "yellow", "connecting": "yellow", "ended": "dim", "stopped": "dim",
    "stalled": "red", "reconnecting": "red", "failed": "red",
}  # fmt: skip


_DROP_WORDS = {"unprocessed": "read ahead and not needed"}
"""Reasons for people; the others are words that say what they mean."""


class SourceWords(NamedTuple):
    """Two parts of a line.

    Attributes:
        state: One word.
        problem: What is wrong and what is done about it, to follow at once; empty if nothing is wrong.
    """

    state: str
    problem: str

    def __str__(self) -> str:
        return self.state + self.problem


def source_words(source: SourceState) -> SourceWords:
    """Say how a source is, such as `reconnecting, attempt 3, next in 4 s: connection refused (refused)`."""
    state = source.status
    if state == "lost":
        state = "reconnecting"
    elif state == "starting" and source.code is not None:
        state = "connecting"
    parts = []
    if source.attempt > (state == "starting"):  # a first attempt is what starting means
        parts.append(f", attempt {source.attempt}")
    if source.retry_in_s is not None:
        parts.append(f", next in {math.ceil(source.retry_in_s)} s")
    if source.text:
        parts.append(f": {source.text}")
    if source.code is not None:
        parts.append(f" ({source.code})")
    return SourceWords(state, "".join(parts))


def frame_counts(read: int, masked: int, drops: Mapping[str, int]) -> str:
    """Say what became of all frames that were read; what is in no count was under way when a run broke."""
    said = ((_DROP_WORDS.get(reason, reason), count) for reason, count in sorted(drops.items()))
    parts = [f"{masked} with masks", *(f"{count} {reason}" for reason, count in said if count)]
    under_way = read - masked - sum(drops.values())
    if under_way > 0:
        parts.append(f"{under_way} under way")
    return f"read {read} frames: {', '.join(parts)}"


def speed_words(frames: int, elapsed_s: float, fps: float, latencies_ms: tuple[float, float], over: str = "") -> str:
    """How many frames there were and how fast, in words; no rate and no latency where there were none.

    Args:
        frames: With masks.
        elapsed_s: The time that they took.
        fps: Their rate.
        latencies_ms: Median and 95th percentile.
        over: What the rate is of, where that is not plain.
    """
    if not frames:
        return "no frame got masks"
    p50_ms, p95_ms = latencies_ms
    rate = f"{frames} frames in {elapsed_s:.1f} s = {fps:.1f} fps{over}" if fps else f"{frames} frames"
    return f"{rate}, latency p50 {p50_ms:.0f} ms, p95 {p95_ms:.0f} ms"


def latency_words(milliseconds: float | None) -> str:
    """A latency, such as `80 ms`; a dash where there is none because no masks come."""
    return "-" if milliseconds is None else f"{milliseconds:.0f} ms"


def source_text(source: SourceState) -> Text:
    """The same in colour; of a source without a problem also its address, and whether its pictures come late."""
    state, problem = source_words(source)
    words = shown(state, _COLOURS.get(state, ""))
    words.append(shown(problem or (source.address and f" {source.address}")))
    if not problem and source.complete_at == "next_picture":
        words.append(shown(", a picture is complete when the next one begins", "dim"))
    return words


class SourceNews:
    """What is new about sources, for somebody who reads it line by line."""

    def __init__(self) -> None:
        self._said: dict[str, tuple[str, str, str | None, int]] = {}

    def line(self, source: SourceState) -> str | None:
        """A line about a state; None if it says nothing new, or only that another attempt has begun."""
        words, last = source_words(source), self._said.get(source.stream)
        said = words.state, source.text, source.code, source.attempt
        is_attempt = last is not None and words.state == last[0] == "reconnecting" and source.retry_in_s is None
        if said == last or is_attempt:
            return None
        self._said[source.stream] = said
        return f"{source.stream}  {words}" if last is not None or words.problem else None
