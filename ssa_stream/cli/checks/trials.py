"""Sources tried for a few seconds, all at once: what they give is seen, and nothing of it is kept."""

import os
import stat
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ssa_stream.addresses import redact, scheme_of
from ssa_stream.errors import SourceError, SsaStreamError

if TYPE_CHECKING:
    from ssa_stream.nodes.pipeline import PipelineConfig
    from ssa_stream.sources import Source, SourceInfo

__all__ = ["Trial", "try_source", "try_sources"]

_OPEN_S = 5.0
_FIRST_FRAME_S = 5.0
_GRACE_S = 2.0
"""For a source to let go once it is closed."""


@dataclass(slots=True)
class Trial:
    """What a source gave while it was tried.

    Attributes:
        stream: Whose source it is.
        address: Without secrets.
        skipped: Why it was not tried; empty if it was.
        opened_s: How long it took to open it; None if it was not opened.
        first_s: From then to the first frame; None if none came.
        live: Whether it is a live source.
        codec: FFmpeg's name of it; None if not known.
        decoded_by: Kind of device that decodes it; None if it is the processor.
        size: Height and width in pixels; None if not known.
        nominal_hz: Frames per second as it says; None if it does not.
        measured_hz: As they came, of a file as they can be decoded; None if there were fewer than two.
        frames: That came.
        lost: Frames that are missing or damaged, by what is wrong with them.
        warnings: What it knows to be incomplete.
        problem: What is wrong, for people; empty if nothing is.
        code: The same for programs; see `SourceErrorCode`.
    """

    stream: str
    address: str
    skipped: str = ""
    opened_s: float | None = None
    first_s: float | None = None
    live: bool = False
    codec: str | None = None
    decoded_by: str | None = None
    size: tuple[int, int] | None = None
    nominal_hz: float | None = None
    measured_hz: float | None = None
    frames: int = 0
    lost: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    problem: str = ""
    code: str = ""

    def opened(self, info: "SourceInfo", after_s: float) -> None:
        """It is open."""
        self.opened_s, self.live, self.codec = after_s, info.live, info.codec
        self.decoded_by = info.decoded_by
        self.size, self.nominal_hz = info.size, info.fps


def try_sources(config: "PipelineConfig", seconds: float) -> tuple[Trial, ...]:
    """Try the sources of all streams at the same time.

    Args:
        config: Not running: what only one program may use is free.
        seconds: How long each is read once its first frame is there.
    """
    trials = [
        (Trial(name, redact(stream.source), skipped=_why_skipped(stream.source)), stream.source, stream.live)
        for name, stream in config.streams.items()
    ]
    threads = [
        threading.Thread(target=try_source, args=(trial, _opener(source, live), seconds), daemon=True)
        for trial, source, live in trials
        if not trial.skipped
    ]
    for thread in threads:
        thread.start()
    until_s = time.monotonic() + _OPEN_S + _FIRST_FRAME_S + seconds + _GRACE_S
    for thread in threads:
        thread.join(max(0.0, until_s - time.monotonic()))
    for trial, _, _ in trials:
        if trial.opened_s is None and not (trial.problem or trial.skipped):  # its thread hangs, and is left behind
            trial.problem, trial.code = f"cannot open {trial.address}: no answer within {_OPEN_S:g} s", "timeout"
    return tuple(trial for trial, _, _ in trials)


def try_source(trial: Trial, open_source: "Callable[[], Source]", seconds: float) -> None:
    """Open a source, read it for a while and close it.

    Args:
        trial: Takes what was seen.
        open_source: Opens it.
        seconds: How long it is read once its first frame is there.
    """
    from ssa_stream.sources.source import warnings_of
    from ssa_stream.sources.status import losses_of

    began_s = time.monotonic()
    try:
        with closing(open_source()) as source:
            trial.opened(source.info, time.monotonic() - began_s)
            _read(trial, source, seconds)
            trial.lost = {what: count for what, count in losses_of(source)._asdict().items() if count and what in _LOST}
            trial.warnings = warnings_of(source)
    except SsaStreamError as error:
        trial.problem = redact(str(error))
        trial.code = str(error.code) if isinstance(error, SourceError) else ""
    except Exception as error:  # of a library or a plug-in, which nobody foresaw: it is what was found
        trial.problem = f"unexpected {type(error).__name__}: {redact(str(error))}"


_LOST = ("missing_frames", "corrupt_packets", "damaged_frames", "failed_frames")


def _read(trial: Trial, source: "Source", seconds: float) -> None:
    opened_s = time.monotonic()
    first_s = last_s = 0.0
    with _closed_after(source, _FIRST_FRAME_S + seconds) as is_over:
        for frame in source.frames():
            last_s = time.monotonic()
            if not trial.frames:
                first_s, trial.size = last_s, frame.size
                trial.first_s = first_s - opened_s
            trial.frames += 1
            if last_s - first_s >= seconds:
                break
    if not trial.frames:
        within = f" within {_FIRST_FRAME_S + seconds:g} s" if is_over.is_set() else ""
        raise SourceError(f"{trial.address} was opened, but no picture came{within}")
    if last_s > first_s:
        trial.measured_hz = (trial.frames - 1) / (last_s - first_s)


@contextmanager
def _closed_after(source: "Source", seconds: float) -> "Iterator[threading.Event]":
    """Close a source that says nothing for so long; the event tells whether that was so."""
    is_over = threading.Event()

    def close() -> None:
        is_over.set()
        source.close()

    timer = threading.Timer(seconds, close)
    timer.daemon = True
    timer.start()
    try:
        yield is_over
    finally:
        timer.cancel()


def _opener(address: str, live: bool | None) -> "Callable[[], Source]":
    from ssa_stream.sources import open_source

    return lambda: open_source(address, live=live, open_timeout_s=_OPEN_S, read_timeout_s=_OPEN_S, recovery=None)


def _why_skipped(address: str) -> str:
    """Why a source cannot be tried without taking from it what the graph is to get; empty if it can."""
    scheme = scheme_of(address)
    if scheme == "webrtc":
        return "a browser's camera comes when its user starts it"
    if address.partition("#")[0] == "-" or scheme in ("pipe", "fd"):
        return "what comes through a pipe can be read once only"
    try:
        is_pipe = stat.S_ISFIFO(os.stat(address.partition("#")[0]).st_mode)
    except (OSError, ValueError):
        return ""
    return "what comes through a pipe can be read once only" if is_pipe else ""
