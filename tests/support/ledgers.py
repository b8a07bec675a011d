"""Books of streams for tests: filled, sent from, and read."""

from dataclasses import replace

from ssa_stream.nodes.intake.departures import Outgoing, OutgoingFrame
from ssa_stream.nodes.intake.ledger import FrameLedger
from ssa_stream.nodes.intake.picture import Picture
from ssa_stream.protocols import StartStream
from tests.support.intake import RULES, start_stream

__all__ = ["NOW_NS", "admit", "frames_of", "ledger_of", "numbers_of", "replays_of", "send_all"]

NOW_NS = 7


def ledger_of(*texts: str, start: StartStream | None = None, freshest: bool = False, **rules: float) -> FrameLedger:
    """A ledger with these prompts."""
    ledger = FrameLedger(replace(RULES, **rules), start or start_stream(*texts))  # type: ignore[arg-type]
    ledger.every_frame = not freshest
    return ledger


def admit(ledger: FrameLedger, *pictures: Picture) -> None:
    """Take in pictures."""
    for item in pictures:
        ledger.meet(item)
        ledger.admit(item)


def send_all(ledger: FrameLedger) -> list[Outgoing]:
    """Send all that may be sent; returns it."""
    sent = []
    while (outgoing := ledger.take_next(NOW_NS)) is not None:
        ledger.was_sent(outgoing)
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
