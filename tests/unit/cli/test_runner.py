"""The loop of `ssa-stream run`, with a scripted source and a small network."""

import dataclasses
import os
import re
import signal
import time
from collections.abc import Sequence

import numpy as np
import pytest
from torch import Tensor

from ssa_stream import overload
from ssa_stream.cli.runner import PromptChange, paced, run_stream
from ssa_stream.errors import SinkError, SourceError
from ssa_stream.sinks import FrameTimes, Sink
from ssa_stream.sinks.sink import SinkFrame
from ssa_stream.sources import Frame, Prefetch, open_source
from ssa_stream.streaming import MaskResult, ReferSession, SessionConfig
from tests.support.scripted_source import FRAME_INTERVAL_S, ScriptedSource
from tests.support.tiny_model import random_frames, tiny_model


class Recorder(Sink):
    """Keeps what it is given; fails at a frame if told so."""

    def __init__(self, fail_at: int | None = None) -> None:
        self.written: list[tuple[SinkFrame, Sequence[MaskResult], FrameTimes | None]] = []
        self._fail_at = fail_at

    def write(self, frame: SinkFrame, results: Sequence[MaskResult], times: FrameTimes | None = None) -> None:
        """Keep it."""
        if frame.seq == self._fail_at:
            raise SinkError("the disk is full")
        self.written.append((frame, results, times))

    def close(self) -> None:
        """Nothing to close."""


def _frames(count: int, size: tuple[int, int] = (40, 56), epoch: int = 0) -> list[Frame]:
    images = random_frames(count, size)
    return [
        Frame(np.asarray(image), seq, epoch, seq * FRAME_INTERVAL_S, t_receive_ns=1) for seq, image in enumerate(images)
    ]


def _session(lookahead: int = 0) -> ReferSession:
    return ReferSession(tiny_model(), SessionConfig(lookahead=lookahead, window=4), ["the red circle"])


@pytest.mark.parametrize("lookahead", [0, 2])
def test_run_stream_pairs_each_result_with_its_own_frame(lookahead: int) -> None:
    """Frames in = results out, in order, also when results come later than their frames."""
    sink = Recorder()
    report = run_stream(paced(ScriptedSource(_frames(7))), _session(lookahead), sink)
    assert [frame.seq for frame, _, _ in sink.written] == list(range(7))
    assert all(frame.t == result.t for frame, results, _ in sink.written for result in results)
    assert (report.frames, report.results, len(report.latencies_ms)) == (7, 7, 7)
    assert not report.interrupted


def test_run_stream_changes_prompts_at_their_time() -> None:
    """A change at second s applies to the first frame at or after s, and its latency is measured."""
    sink = Recorder()
    changes = [PromptChange(0.39, ("a", "b")), PromptChange(0.2, ("c",))]
    report = run_stream(paced(ScriptedSource(_frames(6))), _session(), sink, changes=changes)
    said = [[result.prompt for result in results] for _, results, _ in sink.written]
    assert said == [["the red circle"]] * 2 + [["c"]] * 2 + [["a", "b"]] * 2
    assert len(report.prompt_to_mask_ms) == 2


def test_run_stream_new_epoch_flushes_then_starts_afresh() -> None:
    """A reconnect with another picture size loses no result and does not mix the two."""
    sink = Recorder()
    script = [*_frames(3), *_frames(3, (48, 40), epoch=1)]
    run_stream(paced(ScriptedSource(script)), _session(lookahead=2), sink)
    assert [(frame.epoch, frame.seq) for frame, _, _ in sink.written] == [(e, s) for e in (0, 1) for s in range(3)]
    assert [results[0].after_reset for _, results, _ in sink.written] == [False, False, False, True, False, False]


@pytest.mark.parametrize(("gap_s", "is_cleared"), [(1.0, False), (3.0, True)], ids=["short", "long"])
def test_run_stream_keeps_its_memory_over_a_short_gap_only(gap_s: float, is_cleared: bool) -> None:
    """A source that was away and came back goes on in time; the session's own limit decides."""
    sink = Recorder()
    before = _frames(3)
    after = [dataclasses.replace(frame, t=before[-1].t + gap_s + frame.t) for frame in _frames(3, epoch=1)]
    run_stream(paced(ScriptedSource([*before, *after])), _session(), sink)
    assert [frame.epoch for frame, _, _ in sink.written] == [0, 0, 0, 1, 1, 1]
    assert [results[0].after_reset for _, results, _ in sink.written] == [False] * 3 + [is_cleared, False, False]


def test_run_stream_broken_source_keeps_what_was_made() -> None:
    """When the source breaks, everything up to then is written, lookahead included, and the error is raised."""
    sink = Recorder()
    script: list[Frame | Exception] = [*_frames(3), SourceError("the cable was pulled")]
    with pytest.raises(SourceError, match="cable"):
        run_stream(paced(ScriptedSource(script)), _session(lookahead=2), sink)
    assert [frame.seq for frame, _, _ in sink.written] == [0, 1, 2]


def test_run_stream_failing_output_is_told() -> None:
    """An output that fails ends the run with its own error."""
    with pytest.raises(SinkError, match="disk is full"):
        run_stream(paced(ScriptedSource(_frames(5))), _session(), Recorder(fail_at=2))


def test_run_stream_takes_no_more_than_asked() -> None:
    """`max_frames` ends an endless source."""
    source = ScriptedSource(_frames(3), block_at_end=True)
    assert run_stream(paced(source), _session(), Recorder(), max_frames=3).frames == 3
    assert source.closed.is_set()


def test_run_stream_interrupted_while_waiting_ends_at_once() -> None:
    """Ctrl-C while no frame comes: the run ends, its results stay."""
    sink = Recorder()

    def interrupt_at_second_frame(report: object) -> None:
        if len(sink.written) == 2:
            os.kill(os.getpid(), signal.SIGINT)

    source = ScriptedSource(_frames(2), block_at_end=True)
    report = run_stream(paced(source), _session(), sink, on_frame=interrupt_at_second_frame)
    assert report.interrupted
    assert len(sink.written) == 2


def test_paced_reads_a_recording_completely() -> None:
    """What is not live is read ahead, without loss."""
    assert isinstance(paced(ScriptedSource(_frames(1))), Prefetch)


def test_live_source_that_is_too_much_is_told_with_the_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, while frames are still being taken."""
    monkeypatch.setattr(overload, "_HOLD_NS", 2 * 10**8)  # five seconds otherwise
    model, told = tiny_model(), list[str]()
    encode_stem = model.encode_stem

    def slowly(images: Tensor) -> Tensor:
        """Wait, then encode."""
        time.sleep(0.1)
        return encode_stem(images)

    monkeypatch.setattr(model, "encode_stem", slowly)
    source = paced(open_source("synthetic@56x40,60fps", live=True))
    run_stream(source, ReferSession(model, prompts=["a dog"]), Recorder(), max_frames=12, on_overload=told.append)
    assert len(told) == 1
    assert re.match(r"overloaded: [\d.]+ pictures/s come, [\d.]+/s get masks; the encoder takes \d+ %", told[0])
    assert "--short-edge" in told[0]
