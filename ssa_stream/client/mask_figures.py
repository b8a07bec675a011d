"""How many frames got masks, and how long they took: figures of one prompt, and of all streams together."""

import statistics
from collections import Counter, deque
from collections.abc import Collection
from dataclasses import dataclass, field

from ssa_stream.client.clock import picture_age_s
from ssa_stream.found_frames import FoundFrames
from ssa_stream.protocols import Event, MaskMessage
from ssa_stream.rates import MOST_CHANGES, RATE_SPAN_S, RateMeter, latencies_of_changes, latencies_of_frames

__all__ = ["MaskFigures", "PromptFigures"]

_RECENT_FRAMES = 60
"""What is told of the present is told of that many frames, or of the last few seconds if that is fewer."""
_SPAN_NS = round(RATE_SPAN_S * 1e9)
_MS = 1e-6


@dataclass(slots=True)
class PromptFigures:
    """What came of one prompt lately.

    Attributes:
        text: The sentence.
        objects: In the newest frame.
        score: Of the best of them; None without any.
        age_ms: Of the newest picture when its masks were taken in; None if its clock is another machine's.
        rate: How fast masks come.
    """

    text: str = ""
    objects: int = 0
    score: float | None = None
    age_ms: float | None = None
    rate: RateMeter = field(default_factory=RateMeter)


@dataclass(slots=True)
class MaskFigures:
    """Figures of all masks that came.

    Frames are counted once for all prompts, and when their masks are final; latencies are theirs, too.

    Attributes:
        frames: Frames with final masks, by stream.
        found: In how many frames each prompt had a target, by stream.
        repeated: Frames whose final masks came again; none should.
        elapsed_s: From the first masks to the last.
        rate: How fast frames get masks, of all streams together.
        latencies_ms: To masks, newest frames: from capture or reception for live sources, for others from when the
            frame was sent to the first node.
        prompt_to_mask_ms: For each change of prompts that brought a sentence, from the change to its first masks;
            newest changes.
    """

    frames: Counter[str] = field(default_factory=Counter)
    found: dict[str, FoundFrames] = field(default_factory=dict)
    repeated: int = 0
    elapsed_s: float = 0.0
    rate: RateMeter = field(default_factory=RateMeter)
    latencies_ms: deque[float] = field(default_factory=latencies_of_frames)
    prompt_to_mask_ms: deque[float] = field(default_factory=latencies_of_changes)
    _first_ns: int = 0
    _recent: deque[tuple[int, float]] = field(  # when, latency
        default_factory=lambda: deque(maxlen=_RECENT_FRAMES)
    )
    _newest: dict[str, int] = field(default_factory=dict)  # stream: index
    _changes: dict[tuple[str, int], int] = field(default_factory=dict)  # stream, version of its prompts: when
    _prompts: dict[tuple[str, str], PromptFigures] = field(default_factory=dict)  # stream, id

    def take(self, message: MaskMessage, now_ns: int) -> None:
        """Take in masks that have just come.

        Args:
            message: The masks.
            now_ns: On this host's monotonic clock.
        """
        figures = self._prompts.setdefault((message.frame.stream, message.prompt.id), PromptFigures())
        figures.text, figures.objects = message.prompt.text, len(message.tracks)
        figures.score = max((track.score for track in message.tracks), default=None)
        age_s = picture_age_s(message.frame, now_ns)
        figures.age_ms = None if age_s is None else age_s * 1e3
        figures.rate.saw_one(now_ns)
        if message.status == "final":
            self._take_final(message, now_ns)

    def prompts_changed(self, event: Event) -> None:
        """Note when the prompts of a stream changed."""
        if event.stream is not None and event.prompts_version is not None:
            self._changes[event.stream, event.prompts_version] = event.at_ns
            if len(self._changes) > MOST_CHANGES:  # without pictures no masks follow
                del self._changes[next(iter(self._changes))]

    def keep_prompts(self, stream: str, prompts: Collection[str], now_ns: int) -> None:
        """Forget the other prompts of a stream, but for those of which masks came lately."""
        for prompt, figures in self.prompts(stream).items():
            if prompt not in prompts and now_ns - (figures.rate.last_ns or 0) > _SPAN_NS:
                del self._prompts[stream, prompt]

    def prompts(self, stream: str) -> dict[str, PromptFigures]:
        """By id, what came of each prompt of a stream."""
        return {prompt: figures for (name, prompt), figures in self._prompts.items() if name == stream}

    def frames_per_s(self, stream: str, now_ns: int) -> float:
        """Frames with masks per second, of the prompt of the stream that has most."""
        rates = (figures.rate.rate_hz(now_ns) for figures in self.prompts(stream).values())
        return max((rate for rate in rates if rate is not None), default=0.0)

    def recent_latency_ms(self, now_ns: int) -> float | None:
        """Median latency of the newest frames; None while none come."""
        if not self.rate.rate_hz(now_ns):
            return None
        recent = [latency for at_ns, latency in self._recent if now_ns - at_ns <= _SPAN_NS]
        return statistics.median(recent or [latency for _, latency in list(self._recent)[-1:]] or [0.0])

    def _take_final(self, message: MaskMessage, now_ns: int) -> None:
        frame, end_ns = message.frame, message.times[-1].end_ns if message.times else None
        changed_ns = self._changes.pop((frame.stream, message.prompt.version), None)
        if changed_ns is not None and end_ns is not None:
            self.prompt_to_mask_ms.append(max(0, end_ns - changed_ns) * _MS)
        newest = self._newest.get(frame.stream, -1)
        if frame.index >= newest:
            found = self.found.setdefault(frame.stream, FoundFrames())
            found.count(message.prompt.id, message.prompt.text, has_target=bool(message.tracks))
        if frame.index == newest:
            return  # another prompt's masks in the same frame
        if frame.index < newest:
            self.repeated += 1
            return
        self._newest[frame.stream] = frame.index
        self.frames[frame.stream] += 1
        self.rate.saw_one(now_ns)
        if end_ns is None:
            return
        self._first_ns = self._first_ns or end_ns
        self.elapsed_s = max(self.elapsed_s, (end_ns - self._first_ns) / 1e9)
        for begin_ns, clock in _beginnings(message):
            if begin_ns is not None and clock == message.times[-1].clock:
                self.latencies_ms.append((end_ns - begin_ns) * _MS)
                self._recent.append((now_ns, self.latencies_ms[-1]))
                return


def _beginnings(message: MaskMessage) -> list[tuple[int | None, str | None]]:
    """From when latency counts, best first, each time with its clock."""
    frame, ingest = message.frame, message.times[0]
    if not frame.live:  # such a frame has waited before it was asked for
        return [(ingest.end_ns, ingest.clock)]
    return [(frame.t_capture_ns, frame.capture_clock), (frame.t_receive_ns, frame.receive_clock)]
