"""How many frames got masks, and how long they took: figures of one prompt, and of all streams together."""

from collections import Counter, deque
from collections.abc import Collection
from dataclasses import dataclass, field

from ssa_stream.client.clock import picture_age_s
from ssa_stream.found_frames import FoundFrames
from ssa_stream.protocols import Event, MaskMessage

__all__ = ["RECENT_FRAMES", "MaskFigures", "PromptFigures"]

RECENT_FRAMES = 60
"""What is told of the present is told of that many frames."""
_MAX_LATENCIES = 100_000
_MAX_TIMES = 1000
_SPAN_NS = 2_000_000_000
"""Rates of prompts are of the last two seconds."""
_NS = 1e-9
_MS = 1e-6


@dataclass(slots=True)
class PromptFigures:
    """What came of one prompt lately.

    Attributes:
        text: The sentence.
        objects: In the newest frame.
        score: Of the best of them; None without any.
        age_ms: Of the newest picture when its masks were taken in; None if its clock is another machine's.
        taken_ns: When masks were taken in within the last two seconds before the newest, which comes last.
    """

    text: str = ""
    objects: int = 0
    score: float | None = None
    age_ms: float | None = None
    taken_ns: deque[int] = field(default_factory=lambda: deque(maxlen=_MAX_TIMES))


@dataclass(slots=True)
class MaskFigures:
    """Figures of all masks that came.

    Frames are counted once for all prompts, and when their masks are final; latencies are theirs, too.

    Attributes:
        frames: Frames with final masks, by stream.
        found: In how many frames each prompt had a target, by stream.
        repeated: Frames whose final masks came again; none should.
        elapsed_s: From the first masks to the last.
        recent_ns: When the masks of the newest frames were made.
        latencies_ms: To masks, newest frames: from capture or reception for live sources, for others from when the
            frame was sent to the first node.
        prompt_to_mask_ms: For each change of prompts that brought a sentence, from the change to its first masks.
    """

    frames: Counter[str] = field(default_factory=Counter)
    found: dict[str, FoundFrames] = field(default_factory=dict)
    repeated: int = 0
    elapsed_s: float = 0.0
    recent_ns: deque[int] = field(default_factory=lambda: deque(maxlen=RECENT_FRAMES))
    latencies_ms: deque[float] = field(default_factory=lambda: deque(maxlen=_MAX_LATENCIES))
    prompt_to_mask_ms: list[float] = field(default_factory=list)
    _first_ns: int = 0
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
        figures.taken_ns.append(now_ns)
        while now_ns - figures.taken_ns[0] > _SPAN_NS:
            figures.taken_ns.popleft()
        if message.status == "final":
            self._take_final(message)

    def prompts_changed(self, event: Event) -> None:
        """Note when the prompts of a stream changed."""
        if event.stream is not None and event.prompts_version is not None:
            self._changes[event.stream, event.prompts_version] = event.at_ns

    def keep_prompts(self, stream: str, prompts: Collection[str], now_ns: int) -> None:
        """Forget the other prompts of a stream, but for those of which masks came lately."""
        for prompt, figures in self.prompts(stream).items():
            if prompt not in prompts and now_ns - figures.taken_ns[-1] > _SPAN_NS:
                del self._prompts[stream, prompt]

    def prompts(self, stream: str) -> dict[str, PromptFigures]:
        """By id, what came of each prompt of a stream."""
        return {prompt: figures for (name, prompt), figures in self._prompts.items() if name == stream}

    def frames_per_s(self, stream: str, now_ns: int) -> float:
        """Frames with masks per second, of the prompt of the stream that has most."""
        counts = (
            sum(now_ns - at_ns <= _SPAN_NS for at_ns in figures.taken_ns) for figures in self.prompts(stream).values()
        )
        return max(counts, default=0) / (_SPAN_NS * _NS)

    def _take_final(self, message: MaskMessage) -> None:
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
        if end_ns is None:
            return
        self._first_ns = self._first_ns or end_ns
        self.elapsed_s = max(self.elapsed_s, (end_ns - self._first_ns) / 1e9)
        self.recent_ns.append(end_ns)
        for begin_ns, clock in _beginnings(message):
            if begin_ns is not None and clock == message.times[-1].clock:
                self.latencies_ms.append((end_ns - begin_ns) * _MS)
                return


def _beginnings(message: MaskMessage) -> list[tuple[int | None, str | None]]:
    """From when latency counts, best first, each time with its clock."""
    frame, ingest = message.frame, message.times[0]
    if not frame.live:  # such a frame has waited before it was asked for
        return [(ingest.end_ns, ingest.clock)]
    return [(frame.t_capture_ns, frame.capture_clock), (frame.t_receive_ns, frame.receive_clock)]
