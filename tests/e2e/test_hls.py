"""Live HLS: segments come at once with silences in between, and a server may outlive its camera."""

import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest

from ssa_stream.addresses import parse_address
from ssa_stream.errors import SourceErrorCode
from ssa_stream.sources import Frame, Freshest, Recovering, SourceStage, SourceStatus, open_source
from ssa_stream.sources.http_opener import HttpOpener
from tests.support.command_line import run_command, write_tiny_config
from tests.support.hls_origin import hls_origin
from tests.support.video_files import read_number

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


def _watch(url: str, seconds: float, states: list[SourceStatus]) -> tuple[list[Frame], Freshest]:
    """The newest frames of an address for a while."""
    with Freshest(open_source(url, on_state=states.append)) as source:
        closing = threading.Timer(seconds, source.close)
        closing.start()
        try:
            return list(source.frames()), source
        finally:
            closing.cancel()


@pytest.mark.parametrize(("segment_s", "seconds"), [(2.0, 9.0), (6.0, 15.0)])
def test_live_playlist_is_shown_at_its_own_pace(segment_s: float, seconds: float) -> None:
    """No picture of a segment is overtaken by the next one, and the silence between two is no stall."""
    states: list[SourceStatus] = []
    with hls_origin(segment_s, segments_ready=3) as origin:
        frames, source = _watch(origin.url, seconds, states)
    numbers = [read_number(frame.image) for frame in frames]
    assert len(numbers) > 8 * (seconds - 1)
    assert numbers[0] == 2 * round(segment_s * 10)  # the last segment that was there
    assert source.dropped <= 2
    assert {state.stage for state in states} <= {SourceStage.CONNECTING, SourceStage.LIVE, SourceStage.ENDED}
    waits = sorted((b.t_receive_ns - a.t_receive_ns) / 1e9 for a, b in pairwise(frames))
    assert 0.05 < waits[len(waits) // 2] < 0.15


def test_playlist_that_does_not_grow_delivers_nothing_and_says_so() -> None:
    """Each connection is served the last segment again: no picture of it is shown twice."""
    states: list[SourceStatus] = []
    with hls_origin(1.0, segments_ready=3) as origin:
        threading.Timer(2.0, origin.die).start()
        frames, source = _watch(origin.url, 18.0, states)
    assert isinstance(source.source, Recovering)
    assert source.source.status.losses.repeated_frames > 0
    numbers = [read_number(frame.image) for frame in frames]
    assert numbers == sorted(set(numbers))
    assert {frame.epoch for frame in frames} == {0}
    lost = [state for state in states if state.stage is SourceStage.RECONNECTING]
    assert lost
    assert all(state.code is SourceErrorCode.STALLED for state in lost)
    assert all("the playlist has not grown" in state.text for state in lost)
    assert [state.stage for state in states].count(SourceStage.LIVE) == 1


def test_playlist_that_grows_without_its_segments_is_not_called_one_that_stands() -> None:
    """The server is asked again before anything is said of it."""
    states: list[SourceStatus] = []
    with hls_origin(1.0, segments_ready=3) as origin:
        threading.Timer(3.0, origin.lose_segments).start()
        _watch(origin.url, 14.0, states)
    texts = [state.text for state in states if state.stage is SourceStage.RECONNECTING]
    assert any("the playlist grows, but its segments are missing" in text for text in texts)
    assert not any("has not grown" in text for text in texts)


def test_live_segments_that_the_server_does_not_give_are_missing_frames() -> None:
    """FFmpeg passes over them, and the pictures go on."""
    states: list[SourceStatus] = []
    with hls_origin(1.0, segments_ready=3) as origin:
        threading.Timer(3.0, origin.lose_segments, args=(2,)).start()
        frames, source = _watch(origin.url, 12.0, states)
    assert {frame.epoch for frame in frames} == {0}
    assert isinstance(source.source, Recovering)
    assert source.source.status.losses.missing_frames == 20


def test_live_playlist_that_gets_its_end_is_read_to_it_and_not_again() -> None:
    """Not from its first segment, as the recording that it is from then on."""
    states: list[SourceStatus] = []
    with hls_origin(1.0, window=100, segments_ready=3) as origin:
        threading.Timer(3.0, origin.finish).start()
        frames, source = _watch(origin.url, 20.0, states)
        assert [read_number(frame.image) for frame in frames][-1] == origin.pictures - 1
    assert {frame.epoch for frame in frames} == {0}
    assert len(frames) + source.dropped == origin.pictures - 20
    assert [state.stage for state in states] == [SourceStage.CONNECTING, SourceStage.LIVE, SourceStage.ENDED]


def test_live_playlist_that_got_its_end_during_an_outage_is_over() -> None:
    """What the new connection finds is no recording to begin with."""
    with hls_origin(1.0, window=100, segments_ready=3) as origin:
        opener = HttpOpener(parse_address(origin.url), (5.0, 3.0), 12.0, {})
        with opener.open() as source:
            assert next(source.frames()).seq == 0
        origin.finish()
        with opener.open() as again:
            assert again.info.live
            assert list(again.frames()) == []


@pytest.mark.parametrize("first_number", [0, 1000], ids=["same-bytes", "other-pictures"])
def test_origin_that_starts_anew_is_taken_up(first_number: int) -> None:
    """Its times begin anew; even if it sends the very bytes that it sent after its last start."""
    states: list[SourceStatus] = []
    with hls_origin(1.0, segments_ready=3) as origin:
        threading.Timer(2.0, origin.die).start()
        threading.Timer(6.0, origin.restart, kwargs={"first_number": first_number}).start()
        frames, _ = _watch(origin.url, 18.0, states)
    assert {frame.epoch for frame in frames} == {0, 1}
    again = [read_number(frame.image) for frame in frames if frame.epoch == 1]
    assert len(again) > 20
    assert first_number <= again[0] < first_number + 120
    assert again == sorted(set(again))


def test_run_with_a_live_playlist(tmp_path: Path) -> None:
    """Through the command line."""
    model = ["--random-weights", "--model", str(write_tiny_config(tmp_path)), "--device", "cpu"]
    with hls_origin(2.0, segments_ready=3) as origin:
        began_s = time.monotonic()
        done = run_command(
            "run", origin.url, "-p", "the red circle", "--max-frames", "50", "-o", "m.jsonl", *model, cwd=tmp_path
        )
        assert time.monotonic() - began_s > 4
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "m.jsonl").read_text().splitlines()) == 50
    assert "source: stalled" not in done.stderr
