"""Books of streams for tests: filled, sent from, and read."""

from dataclasses import replace

from ssa_stream.nodes.ingest.dispatcher import Outgoing, OutgoingFrame
from ssa_stream.nodes.ingest.picture import Picture
from ssa_stream.nodes.ingest.tracker import InFlightTracker
from ssa_stream.protocols import StartStream
from tests.support.ingest import RULES, start_stream

__all__ = ["NOW_NS", "admit", "frames_of", "numbers_of", "replays_of", "send_all", "tracker_of"]

NOW_NS = 7


def tracker_of(
    *texts: str, start: StartStream | None = None, freshest: bool = False, **rules: float
) -> InFlightTracker:
    """A tracker with these prompts."""
    tracker = InFlightTracker(replace(RULES, **rules), start or start_stream(*texts))  # type: ignore[arg-type]
    tracker.every_frame = not freshest
    return tracker


def admit(tracker: InFlightTracker, *pictures: Picture) -> None:
    """Take in pictures."""
    for item in pictures:
        tracker.meet(item)
        tracker.admit(item)


def send_all(tracker: InFlightTracker) -> list[Outgoing]:
    """Send all that may be sent; returns it."""
    sent = []
    while (outgoing := tracker.take_next(NOW_NS)) is not None:
        tracker.was_sent(outgoing)
        sent.append(outgoing)
    return sent


def frames_of(sent: list[Outgoing]) -> list[OutgoingFrame]:
    """Those that are frames."""
    return [outgoing for outgoing in sent if isinstance(outgoing, OutgoingFrame)]


def numbers_of(sent: list[Outgoing]) -> list[tuple[int, int, int, int]]:
    """Epoch, number, index and missed of each frame."""
    return [
        (item.work.frame.epoch, item.work.frame.seq, item.work.frame.index, item.work.frames_missed)
        for item in frames_of(sent)
    ]


def replays_of(sent: list[Outgoing]) -> list[list[int]]:
    """How many frames each prompt of each frame asks for."""
    return [[prompt.frames for prompt in item.work.prompts] for item in frames_of(sent)]
