"""The ingest node with a source that a test plays: how it ends, is lost, and what is asked of it."""

import time
from dataclasses import replace
from functools import partial
from typing import Literal

import pytest
from structlog.testing import CapturingLogger

from ssa_stream.errors import ConfigError, SourceError, SourceErrorCode
from ssa_stream.nodes.runtime.logs import LogLimit
from ssa_stream.protocols import (
    Accepted,
    DropNotice,
    ListPrompts,
    NewPrompt,
    PromptReply,
    Recover,
    SetPrompts,
    SourceRequest,
    SourceState,
    encode,
)
from ssa_stream.sources import SourceStage, SourceStatus
from tests.support.ingest_stand import PlayedSource, ingest_stand
from tests.support.scripted_source import numbered_frame, numbered_frames

RECOVER = Recover(stream="cam0", about_node="encoder-0", reason="exited")


def _source_request(action: Literal["start", "stop", "reconnect"], address: str | None = None) -> SourceRequest:
    return SourceRequest(request_id="r", stream="cam0", action=action, address=address)


# -- ends and losses


async def test_end_with_lookahead_tells_those_that_wait() -> None:
    """Only when that is finished too has the source ended; the node still answers."""
    async with ingest_stand(PlayedSource(*numbered_frames(0, 1), None), session={"lookahead": 1}) as stand:
        await stand.until(lambda: any(isinstance(message, DropNotice) for message, _ in stand.links.sent))
        stand.finish(0, 1)
        await stand.until(lambda: stand.state.frames_done == 2)
        assert stand.state.status == "running"
        stand.finish(0, 2)
        await stand.until_status("ended")
        assert stand.events() == ["source_ended"]
        stand.ask(ListPrompts(request_id="r", stream="cam0"))
        await stand.until(lambda: bool(stand.said(PromptReply)))


async def test_broken_recording_fails_after_its_frames_are_finished() -> None:
    """With a text that holds no secret; a start plays it again."""
    error = SourceError("cannot read rtsp://user:secret@host/1", SourceErrorCode.UNREADABLE)
    async with ingest_stand(PlayedSource(*numbered_frames(0), error), PlayedSource(*numbered_frames(0))) as stand:
        await stand.until_sent(1)
        await stand.until(lambda: "source_lost" in stand.events())
        assert stand.state.status == "running"
        stand.finish(0, 0)
        await stand.until_status("failed")
        assert (stand.state.text, stand.state.code) == ("cannot read rtsp://***@host/1", "unreadable")
        stand.ask(_source_request("start"))
        await stand.until_sent(2)
        assert stand.numbers[1] == (1, 0, 1, 0)
        assert stand.frames[1].work.memory == 1


async def test_lost_live_source_is_opened_again_with_a_new_memory() -> None:
    """After a wait; what comes then has nothing to do with what came before."""
    lost = PlayedSource(*numbered_frames(0), SourceError("unplugged"), live=True)
    found = PlayedSource(*numbered_frames(0), live=True)
    async with ingest_stand(lost, SourceError("not there yet"), found) as stand:
        await stand.until_status("lost")
        stand.ask(_source_request("reconnect"))  # instead of waiting
        await stand.until(lambda: len(stand.opened) == 2 and stand.state.text == "not there yet")
        stand.ask(_source_request("reconnect"))
        await stand.until_sent(2)
        assert stand.numbers == [(0, 0, 0, 0), (1, 0, 1, 0)]
        assert [message.work.memory for message in stand.frames] == [0, 1]
        assert stand.frames[1].history == ()
        await stand.until_status("running")
        assert (stand.state.attempt, stand.state.code) == (0, None)
        assert stand.events() == ["source_lost", "epoch", "source_regained"]


async def test_camera_that_is_not_there_yet_tells_its_attempts_and_the_next_one() -> None:
    """No word of its address: neither to people nor to programs, neither in states nor in events."""
    refused = SourceError("nobody listens at rtsp://me:secret@host/1?token=secret", SourceErrorCode.REFUSED)
    async with ingest_stand(refused, refused, PlayedSource(*numbered_frames(0), live=True), source="0") as stand:
        await stand.until(lambda: bool(stand.said(SourceState)) and stand.state.retry_in_s is not None)
        first = stand.state
        assert (first.status, first.code, first.attempt) == ("lost", "refused", 1)
        assert first.retry_in_s is not None
        assert 0 < first.retry_in_s <= 0.5
        await stand.until(lambda: stand.state.attempt == 2 and stand.state.retry_in_s is not None)
        tried = [state for state in stand.said(SourceState) if state.attempt == 2]
        assert (tried[0].status, tried[0].code, tried[0].retry_in_s) == ("lost", "refused", None)
        await stand.until_status("running")
        assert (stand.state.code, stand.state.attempt, stand.state.retry_in_s) == (None, 0, None)
        told = b"".join(bytes(part) for message in stand.broker.said for part in encode(message))
        assert b"nobody listens at" in told
        assert b"secret" not in told


async def test_wait_for_the_next_attempt_counts_down() -> None:
    """Each state says how long it is from its own time."""
    source = PlayedSource(*numbered_frames(0), live=True)
    async with ingest_stand(source) as stand:
        await stand.until_sent(1)
        said = SourceStatus(
            stage=SourceStage.RECONNECTING, since_s=0, epoch=0, text="refused at rtsp://me:secret@host/1",
            code=SourceErrorCode.REFUSED, attempt=3, retry_in_s=60.0,
        )  # fmt: skip
        stand.on_state(said)
        await stand.until_status("lost")
        first = stand.state
        await stand.until(lambda: (stand.state.retry_in_s or 60.0) < (first.retry_in_s or 0.0))
        second = stand.state
        assert first.retry_in_s is not None
        assert second.retry_in_s is not None
        assert first.retry_in_s - second.retry_in_s == pytest.approx((second.at_ns - first.at_ns) / 1e9)
        assert (second.code, second.attempt, second.text) == ("refused", 3, "refused at rtsp://***@host/1")


async def test_source_that_recovers_by_itself_is_lost_for_a_while_and_keeps_its_memory() -> None:
    """A frame that had come before the loss is no sign of its return."""
    source = PlayedSource(*numbered_frames(0), live=True)
    async with ingest_stand(source) as stand:
        await stand.until_sent(1)
        for stage, status in ((SourceStage.STALLED, "stalled"), (SourceStage.RECONNECTING, "lost")):
            said = SourceStatus(stage=stage, since_s=0, epoch=0, text="silent at rtsp://me:secret@host/1")
            stand.on_state(said)
            await stand.until_status(status)
            assert stand.state.text == "silent at rtsp://***@host/1"
        source.give(*numbered_frames(1))
        await stand.until_sent(2)
        await stand.settle()
        assert stand.state.status == "lost"
        source.give(numbered_frame(0, t=0.5, epoch=1, size=(48, 64)))
        await stand.until_status("running")
        assert stand.numbers == [(0, 0, 0, 0), (0, 1, 1, 0), (1, 0, 2, 0)]
        assert {message.work.memory for message in stand.frames} == {0}
        assert len(stand.frames[2].history) == 2
        assert stand.events() == ["source_lost", "epoch", "source_regained"]


async def test_lost_live_source_is_tried_again_without_being_asked() -> None:
    """The first wait is half a second."""
    lost = PlayedSource(*numbered_frames(0), SourceError("unplugged"), live=True)
    async with ingest_stand(lost, PlayedSource(*numbered_frames(0), live=True)) as stand:
        await stand.until_sent(2)
        assert stand.numbers[1] == (1, 0, 1, 0)


async def test_missing_recording_fails_and_a_missing_camera_is_tried_again() -> None:
    """Judged by the address: neither was ever open."""
    async with ingest_stand(SourceError("no such file"), source="clip.mp4") as stand:
        await stand.until_status("failed")
    camera = PlayedSource(*numbered_frames(0), live=True)
    async with ingest_stand(SourceError("no camera"), camera, source="0") as stand:
        await stand.until_status("lost")
        await stand.until_sent(1)
        assert stand.numbers == [(0, 0, 0, 0)]


@pytest.mark.parametrize("lookahead", [0, 1])
async def test_recording_that_changes_its_size_is_finished_before_it_goes_on(lookahead: int) -> None:
    """Else the first frame of the new epoch might come before the last ones of the old epoch."""
    source = PlayedSource(*numbered_frames(0, 1), *numbered_frames(0, epoch=1, size=(64, 64)))
    async with ingest_stand(source, session={"lookahead": lookahead}, in_flight=5) as stand:
        await stand.until(lambda: len(stand.links.sent) == 2 + lookahead)
        stand.finish(0, 0)
        await stand.until(lambda: stand.state.frames_done == 1)
        assert len(stand.frames) == 2
        stand.finish(0, 1 + lookahead)
        await stand.until_sent(3)
        assert stand.numbers[2] == (1, 0, 2, 0)
        assert [message.work.memory for message in stand.frames] == [0, 0, 1]


async def test_error_of_a_plug_in_is_a_broken_source_and_not_a_broken_node() -> None:
    """Whatever it raises."""
    async with ingest_stand(PlayedSource(KeyError("bug"))) as stand:
        await stand.until_status("failed")
        assert "KeyError" in stand.state.text


async def test_source_that_the_pipeline_misuses_ends_the_node() -> None:
    """A wrong configuration is told, not tried again."""
    async with ingest_stand(ConfigError("live by nature"), ends_with=ConfigError) as stand:
        await stand.until(lambda: stand.links.closed == 1)


# -- requests about the source


async def test_stopped_source_is_closed_and_started_from_the_beginning() -> None:
    """The answers say the epoch from then on."""
    first, second = PlayedSource(*numbered_frames(0, 1)), PlayedSource(*numbered_frames(0))
    async with ingest_stand(first, second) as stand:
        await stand.until_sent(2)
        stand.ask(_source_request("stop"))
        await stand.until_status("stopped")
        await stand.until(first.closed.is_set)
        stand.ask(_source_request("start", "other.mp4"))
        await stand.until_sent(3)
        assert stand.numbers[2] == (1, 0, 2, 0)
        assert [reply.epoch for reply in stand.said(Accepted)] == [0, 1]
        assert stand.opened == ["played", "other.mp4"]
        await stand.until(lambda: stand.state.address == "other.mp4")


async def test_start_of_a_source_that_plays_changes_nothing() -> None:
    """It is accepted."""
    async with ingest_stand(PlayedSource(*numbered_frames(0))) as stand:
        await stand.until_sent(1)
        stand.ask(_source_request("start"))
        await stand.until(lambda: bool(stand.said(Accepted)))
        assert (stand.said(Accepted)[0].epoch, len(stand.opened)) == (0, 1)


async def test_node_ends_soon_though_its_source_hangs() -> None:
    """A thread that hangs in a driver is left behind; the test lets it go."""
    source = PlayedSource(live=True, lets_go=False)
    async with ingest_stand(source) as stand:
        await stand.until(lambda: bool(stand.opened))
        stand.stop.set()
        await stand.until(lambda: stand.links.closed == 1)  # the deadline is far below the 30 s that closing may take
    source.give(None)


async def test_states_come_while_frames_flow() -> None:
    """And not while nothing happens."""
    async with ingest_stand(PlayedSource(*numbered_frames(0))) as stand:
        await stand.until_status("running")
        count = len(stand.broker.said)
        await stand.until(lambda: len(stand.broker.said) > count)
        assert (stand.state.size, stand.state.rate_hz, stand.state.next_prompt_number) == ((48, 64), None, 2)


async def test_rate_of_a_source_that_gives_nothing_more_falls_and_is_told() -> None:
    """It is still connected; nobody reads of a rate that it had, nor of one that it claims to have."""
    source = PlayedSource(live=True)
    async with ingest_stand(source) as stand:
        await stand.until(lambda: bool(stand.opened))
        begin_ns = time.monotonic_ns() - 4 * 10**9  # ten a second for two seconds, then none for two
        frames = numbered_frames(*range(21))
        source.give(*(replace(frame, t_receive_ns=begin_ns + frame.seq * 10**8) for frame in frames))
        await stand.until(lambda: bool(stand.said(SourceState)) and stand.state.rate_hz is not None)
        await stand.until(lambda: stand.state.rate_hz is None)
        assert stand.state.status == "running"
        assert all(state.rate_hz is None or state.rate_hz < 5 for state in stand.said(SourceState))


async def test_node_ends_while_it_waits_to_begin() -> None:
    """A graph may end before the broker has said anything."""
    async with ingest_stand(PlayedSource()) as stand:
        stand.broker.asked.get_nowait()
        await stand.until(lambda: stand.broker.is_ready)
        assert stand.opened == []


async def test_requests_without_end_fill_no_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each kind of event the first one within a while is logged; all are published."""
    log = CapturingLogger()
    monkeypatch.setattr("ssa_stream.nodes.ingest.stream._LOG", log)
    monkeypatch.setattr("ssa_stream.nodes.ingest.stream.LogLimit", partial(LogLimit, every_s=3600.0))
    async with ingest_stand(*(PlayedSource(*numbered_frames(0), live=True) for _ in range(6)), in_flight=8) as stand:
        for count in range(1, 6):
            await stand.until_sent(count)
            stand.ask(SetPrompts(request_id="p", stream="cam0", prompts=(NewPrompt(text=f"cup {count}"),)))
            stand.ask(_source_request("stop"))
            await stand.until_status("stopped")
            stand.ask(_source_request("start"))
        await stand.until(lambda: stand.events().count("epoch") == 5)
        assert stand.events().count("prompts_changed") == 5
    logged = [call.args[0] for call in log.calls]
    assert sorted(logged) == sorted(set(stand.events()))
