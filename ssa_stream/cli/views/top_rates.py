"""What changes in a running graph: rates, from what it publishes, without a terminal."""

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ssa_stream.protocols import Heartbeat, Statistics

if TYPE_CHECKING:
    from ssa_stream.client import MaskView

__all__ = ["PromptFigures", "Rates"]

_NS = 1e-9
_SPAN_NS = 2_000_000_000
"""Rates are of the last two seconds."""
_MOST = 1000


@dataclass(slots=True)
class PromptFigures:
    """What came of one prompt lately.

    Attributes:
        text: The sentence.
        objects: In the newest frame.
        score: Of the best of them; None without any.
        age_ms: Of the newest picture when its masks came; None if its clock is another machine's.
    """

    text: str
    objects: int
    score: float | None
    age_ms: float | None
    frames: deque[int] = field(default_factory=lambda: deque(maxlen=_MOST))


class Rates:
    """Rates of nodes and prompts; times are given, so that tests need no clock."""

    def __init__(self) -> None:
        self._steps: dict[str, deque[tuple[int, int, int]]] = {}  # by node: incarnation, time, steps
        self._drops: dict[str, deque[tuple[int, int, int]]] = {}  # by node: incarnation, time, dropped frames
        self._prompts: dict[tuple[str, str], PromptFigures] = {}

    def note(self, message: object) -> None:
        """Take in what a node says."""
        match message:
            case Heartbeat():
                _add(self._steps, message.node, (message.incarnation, message.at_ns, message.steps))
            case Statistics():
                dropped = sum(drop.count for drop in message.drops)
                _add(self._drops, message.node, (message.incarnation, message.at_ns, dropped))

    def note_masks(self, view: "MaskView") -> None:
        """Take in masks that have just come."""
        key, age_s = (view.frame.stream, view.prompt.id), view.age_s
        known = self._prompts.setdefault(key, PromptFigures(view.prompt.text, 0, None, None))
        known.text, known.objects = view.prompt.text, len(view.tracks)
        known.score = max((track.score for track in view.tracks), default=None)
        known.age_ms = None if age_s is None else age_s * 1e3
        known.frames.append(view.arrived_ns)

    def steps_per_s(self, node: str) -> float | None:
        """Steps of a node per second; None before that is known."""
        return _rate(self._steps.get(node))

    def drops_per_s(self, node: str) -> float | None:
        """Frames that a node drops per second; None before that is known."""
        return _rate(self._drops.get(node))

    def prompts(self, stream: str) -> dict[str, PromptFigures]:
        """By id, what came of each prompt of a stream."""
        return {prompt: figures for (name, prompt), figures in self._prompts.items() if name == stream}

    def masks_per_s(self, stream: str, now_ns: int) -> float:
        """Frames with masks per second, of the prompt of the stream that has most."""
        counts = [
            sum(now_ns - at_ns <= _SPAN_NS for at_ns in figures.frames) for figures in self.prompts(stream).values()
        ]
        return max(counts, default=0) / (_SPAN_NS * _NS)


def _add(known: dict[str, deque[tuple[int, int, int]]], node: str, sample: tuple[int, int, int]) -> None:
    """Add a sample; those of earlier starts of the node and those that are too old go."""
    samples = known.setdefault(node, deque(maxlen=_MOST))
    samples.append(sample)
    while samples[0][0] != sample[0] or sample[1] - samples[0][1] > _SPAN_NS:
        samples.popleft()


def _rate(samples: deque[tuple[int, int, int]] | None) -> float | None:
    if not samples or samples[-1][1] <= samples[0][1]:
        return None
    return (samples[-1][2] - samples[0][2]) / ((samples[-1][1] - samples[0][1]) * _NS)
