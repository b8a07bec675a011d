"""What there is to predict, in pieces that are computed and written as a whole, and which process does which.

A unit does not depend on which others are computed with it, so that a prediction that was killed and went on, or was
shared, has the same bytes as one that ran through.
"""

import hashlib
import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from ssa_stream.data import DataKind, ReferringData, ReferringExpression, ReferringVideo
from ssa_stream.errors import ConfigError
from ssa_stream.texts import brief

__all__ = [
    "NUM_ANNOTATORS",
    "Plan",
    "Shard",
    "Unit",
    "VideoUnits",
    "annotator_of",
    "plan_units",
    "position_of",
    "share_of",
]

NUM_ANNOTATORS = 4
"""Of Ref-DAVIS17: each object of a video has a sentence by each of them."""


@dataclass(frozen=True, slots=True)
class Shard:
    """Which part of the work a process does: number `index`, from 0, of `count`."""

    index: int = 0
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Read `I/N`.

        Raises:
            ConfigError: It is not of this form, or there is no such part.
        """
        index, slash, count = text.partition("/")
        if slash and index.isascii() and count.isascii() and index.isdigit() and count.isdigit() and len(text) < 20:
            shard = cls(int(index), int(count))
            if shard.index < shard.count:
                return shard
        raise ConfigError(f"--shard is {brief(text)}; expected I/N, the part I of N, from 0/N to N-1/N, such as 0/8")

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


@dataclass(frozen=True, slots=True)
class Unit:
    """Sentences of one video whose answers are written together.

    Attributes:
        video: Name of the video.
        expressions: One sentence; or all of an annotator of Ref-DAVIS17, whose masks are merged; or all of a video,
            where answers are lists.
        annotator: Number of the annotator; None for other data sets.
    """

    video: str
    expressions: tuple[ReferringExpression, ...]
    annotator: int | None = None

    @property
    def name(self) -> str:
        """What messages call it."""
        if len(self.expressions) == 1:
            return f"{self.video}/{self.expressions[0].expression_id}"
        return self.video if self.annotator is None else f"{self.video}/anno_{self.annotator}"


@dataclass(frozen=True, slots=True)
class VideoUnits:
    """All that there is to do for one video, whose frames are read once for it."""

    video: str
    num_frames: int
    units: tuple[Unit, ...]

    @property
    def num_expressions(self) -> int:
        """Sentences."""
        return sum(len(unit.expressions) for unit in self.units)


@dataclass(frozen=True, slots=True)
class Plan:
    """What there is to do for a split, by all processes.

    Attributes:
        videos: Those that have sentences, in the data set's order.
        unreadable: Videos whose part of the index is broken, with what is wrong.
        fingerprints: Of each video of the split, limit or not: what is asked of it; None where it cannot be read.
        has_targets: Whether the answers can be scored with what the data set holds.
    """

    videos: list[VideoUnits]
    unreadable: list[tuple[str, str]]
    fingerprints: dict[str, str | None]
    has_targets: bool


def plan_units(kind: DataKind, data: ReferringData, limit: int | None = None) -> Plan:
    """Put together what there is to do, in the data set's order; reads no frames.

    Args:
        kind: Of the data set.
        data: One split.
        limit: Take only the first so many sentences; None takes all.
    Raises:
        ConfigError: There is no sentence.
    """
    plan: list[VideoUnits] = []
    unreadable: list[tuple[str, str]] = []
    fingerprints: dict[str, str | None] = {}
    has_targets = False
    left = limit
    for name in data.videos:
        try:
            video = data.video(name)
        except ConfigError as error:
            unreadable.append((name, str(error)))
            fingerprints[name] = None
            continue
        fingerprints[name] = _fingerprint(video)
        expressions = video.expressions if left is None else video.expressions[:left]
        left = None if left is None else left - len(expressions)
        if expressions:
            plan.append(VideoUnits(name, len(video.frames), _units(kind, name, expressions)))
            has_targets = has_targets or any(expression.has_targets for expression in expressions)
    if not plan:
        why = f": {unreadable[0][0]}: {unreadable[0][1]}" if unreadable else ""
        raise ConfigError(f"this split of {kind.title} has no sentence; expected at least one{why}")
    return Plan(plan, unreadable, fingerprints, has_targets)


def _fingerprint(video: ReferringVideo) -> str:
    """Of all that answers for a video depend on, and of their names; targets and the pixels are not looked at."""
    asked = [(one.expression_id, one.text, one.sample_ids, one.annotated) for one in video.expressions]
    return hashlib.sha256(msgspec.json.encode((video.name, video.frames, asked))).hexdigest()[:16]


def _units(kind: DataKind, video: str, expressions: Sequence[ReferringExpression]) -> tuple[Unit, ...]:
    if kind.results == "objects":
        return (Unit(video, tuple(expressions)),)
    if kind.name != "ref-davis17":
        return tuple(Unit(video, (expression,)) for expression in expressions)
    groups: dict[int, list[ReferringExpression]] = {}
    for expression in expressions:
        groups.setdefault(annotator_of(expression), []).append(expression)
    return tuple(
        Unit(video, tuple(sorted(group, key=position_of)), annotator) for annotator, group in sorted(groups.items())
    )


def annotator_of(expression: ReferringExpression) -> int:
    """Which of the four annotators of Ref-DAVIS17 wrote a sentence, from 0; ConfigError if its id is no number."""
    return _number_of(expression) % NUM_ANNOTATORS


def position_of(expression: ReferringExpression) -> int:
    """Which object of its video a sentence of Ref-DAVIS17 is about, from 0; ConfigError if its id is no number."""
    return _number_of(expression) // NUM_ANNOTATORS


def _number_of(expression: ReferringExpression) -> int:
    text = expression.expression_id
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ConfigError(
            f"an expression has the id {brief(text)}; expected a number in Ref-DAVIS17: {NUM_ANNOTATORS} times the "
            f"object's position, plus the annotator"
        )
    return int(text)


def share_of(plan: Sequence[VideoUnits], shard: Shard) -> list[VideoUnits]:
    """The videos of one process, in the data set's order; equal arguments give equal shares.

    The longest work goes first, each to whom has least so far: videos differ in length by far.
    """
    order = sorted(range(len(plan)), key=lambda number: -plan[number].num_frames * plan[number].num_expressions)
    loads = [(0, index) for index in range(shard.count)]
    own = []
    for number in order:
        load, index = heapq.heappop(loads)
        heapq.heappush(loads, (load + plan[number].num_frames * plan[number].num_expressions, index))
        if index == shard.index:
            own.append(number)
    return [plan[number] for number in sorted(own)]
