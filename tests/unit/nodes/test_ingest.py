"""The ingest node with a source that a test plays: flow, restarts, prompts, ends, losses, requests."""

import msgspec
import numpy as np
import pytest

from ssa_stream.errors import ConfigError, SourceError, SourceErrorCode
from ssa_stream.model.preprocess import network_size, resize_frame
from ssa_stream.protocols import (
    Accepted,
    AddPrompt,
    DropNotice,
    ErrorReply,
    Event,
    Finished,
    ListPrompts,
    NewPrompt,
    PictureMessage,
    PromptReply,
    PromptState,
    Recover,
    RemovePrompt,
    SetParameters,
    SetPrompts,
    SourceRequest,
    SourceState,
    encode,
)
from ssa_stream.sources import Frame, SourceStage, SourceStatus
from tests.support.ingest_stand import PlayedSource, ingest_stand
from tests.support.intake import start_stream
from tests.support.scripted_source import numbered_frame

RECOVER = Recover(stream="cam0", about_node="encoder-0", reason="exited")


def _frames(*numbers: int, epoch: int = 0, size: tuple[int, int] = (48, 64)) -> list[Frame]:
    return [numbered_frame(number, epoch=epoch, size=size) for number in numbers]


def _source_request(action: str, address: str | None = None) -> SourceRequest:
    return SourceRequest(request_id="r", stream="cam0", action=action, address=address)  # type: ignore[arg-type]


# -- flow


async def test_recording_waits_for_room_and_loses_nothing() -> None:
    """At most as many frames are under way as the window takes."""
    async with ingest_stand(PlayedSource(*_frames(*range(6)), None), in_flight=2) as stand:
        await stand.until_sent(2)
        await stand.settle()
        assert len(stand.frames) == 2
        for seq in range(6):
            await stand.until_sent(min(6, seq + 2))
            stand.finish(0, seq)
        await stand.until_status("ended")
        assert stand.numbers == [(0, seq, seq, 0) for seq in range(6)]
        assert stand.state.drops == ()
        assert not any(message.work.frame.live for message in stand.frames)
        assert (stand.state.frames_done, stand.state.next_index) == (6, 6)


async def test_live_frames_without_room_are_overtaken_and_counted() -> None:
    """The newest one is sent when there is room, and says how many it follows."""
    source = PlayedSource(live=True)
    async with ingest_stand(source, in_flight=1) as stand:
        source.give(*_frames(0))
        await stand.until_sent(1)
        source.give(*_frames(1, 2, 3, 4))
        await stand.until(lambda: source._steps.empty())
        stand.finish(0, 0)
        await stand.until_sent(2)
        seq = stand.numbers[1][1]
        assert seq >= 3  # all but the last one may have been under way between two threads
        assert stand.numbers[1] == (0, seq, 1, seq - 1)
        await stand.until(lambda: bool(stand.drops))
        assert stand.drops == {"overtaken": seq - 1}
        assert stand.state.live
        assert all(message.work.frame.live for message in stand.frames)


async def test_last_frames_of_an_epoch_that_a_newer_one_overtakes_are_counted() -> None:
    """What came is what was sent and what was overtaken, though no number tells of the frames before a reconnect."""
    source = PlayedSource(live=True)
    async with ingest_stand(source, in_flight=1) as stand:
        source.give(*_frames(0))
        await stand.until_sent(1)
        source.give(*_frames(1, 2), Frame(_frames(0)[0].image, 0, 1, 9.0, 0))
        await stand.until(lambda: source._steps.empty())
        stand.finish(0, 0)
        await stand.until(lambda: stand.frames[-1].work.frame.epoch == 1)
        await stand.until(lambda: bool(stand.drops))
        counts = {one.name: one.value for one in stand.metrics.statistics().counters}
        assert counts["frames_received"] == 4 == len(stand.frames) + stand.drops["overtaken"]


async def test_window_is_told_to_be_empty_when_all_is_finished() -> None:
    """Not only when something is sent."""
    async with ingest_stand(PlayedSource(*_frames(0, 1))) as stand:
        await stand.until_sent(2)
        stand.finish(0, 1)
        await stand.until(lambda: [one.depth for one in stand.metrics.heartbeat(ready=True).queues] == [0])


async def test_picture_is_resized_as_a_session_does() -> None:
    """Bit by bit; and the padded size is said."""
    rng = np.random.default_rng(3)
    image = rng.integers(0, 256, (90, 121, 3), dtype=np.uint8)
    async with ingest_stand(PlayedSource(Frame(image, 0, 0, 0.0, 0))) as stand:
        await stand.until_sent(1)
        parcel = stand.links.sent[0][1]
        size = network_size((90, 121), 32, 64)
        assert parcel is not None
        assert np.array_equal(np.asarray(parcel.items[0]), resize_frame(image, size))
        sizes = stand.frames[0].work.sizes
        assert (sizes.source, sizes.network, sizes.padded) == ((90, 121), size, (32, 64))
        assert stand.frames[0].work.times[0].role == "ingest"


async def test_pictures_go_to_masks_only_if_the_stream_has_outputs() -> None:
    """At the size of the source, before the frame."""
    async with ingest_stand(PlayedSource(*_frames(0))) as plain:
        await plain.until_sent(1)
        assert len(plain.links.sent) == 1
    async with ingest_stand(PlayedSource(*_frames(0)), outputs=["overlay.mp4"]) as stand:
        await stand.until_sent(1)
        picture = stand.links.sent[0][0]
        assert isinstance(picture, PictureMessage)
        assert (picture.image.shape, picture.frame) == ((48, 64, 3), stand.frames[0].work.frame)


async def test_finished_that_is_of_no_frame_of_the_stream_is_passed_over() -> None:
    """Of another stream, or before this one begins, as after a restart of this node."""
    finished = Finished(node="masks-0", incarnation=0, stream="cam0", epoch=0, seq=0)
    async with ingest_stand(PlayedSource(*_frames(0, 1)), in_flight=1) as stand:
        first = stand.hub.asked.get_nowait()
        stand.ask(finished, first)
        await stand.until_sent(1)
        stand.ask(msgspec.structs.replace(finished, stream="cam1"))
        await stand.settle()
        assert len(stand.frames) == 1
        stand.ask(finished)
        await stand.until_sent(2)


async def test_frame_that_no_encoder_takes_is_sent_again_or_lost_if_live() -> None:
    """A recording waits for an encoder; a live source goes on."""
    async with ingest_stand(PlayedSource(*_frames(0, 1)), in_flight=1) as stand:
        stand.links.refuses = True
        await stand.until_status("running")
        await stand.settle()
        stand.links.refuses = False
        await stand.until_sent(1)
        assert stand.numbers == [(0, 0, 0, 0)]
    source = PlayedSource(*_frames(0), live=True)
    async with ingest_stand(source, in_flight=1) as stand:
        stand.links.refuses = True
        await stand.until(lambda: "queue_full" in stand.drops)
        stand.links.refuses = False
        source.give(*_frames(1))
        await stand.until_sent(1)
        assert stand.numbers == [(0, 1, 1, 1)]


async def test_first_frames_end_the_stream_where_it_is_limited() -> None:
    """`max_frames` counts frames that are sent."""
    source = PlayedSource(*_frames(*range(9)))
    async with ingest_stand(source, max_frames=2) as stand:
        await stand.until_sent(2)
        stand.finish(0, 1)
        await stand.until_status("ended")
        assert len(stand.frames) == 2
        assert source.closed.is_set()


async def test_restarted_node_counts_the_frames_of_its_earlier_starts_towards_the_limit() -> None:
    """Here nothing is left to be sent."""
    start = start_stream("a", epoch=1, next_index=3, frames_done=3)
    async with ingest_stand(PlayedSource(*_frames(*range(9))), start=start, max_frames=3) as stand:
        await stand.until_status("ended")
        assert stand.frames == []


async def test_restarted_node_does_not_count_earlier_plays_of_a_recording_towards_the_limit() -> None:
    """Their frames have indices, which go on."""
    start = start_stream("a", epoch=1, next_index=13, frames_done=1)
    async with ingest_stand(PlayedSource(*_frames(*range(9))), start=start, max_frames=3) as stand:
        await stand.until_sent(2)
        stand.finish(1, 1)
        await stand.until_status("ended")
        assert stand.numbers == [(1, 0, 13, 0), (1, 1, 14, 0)]


# -- restarts of nodes and of this one


async def test_recover_sends_unfinished_frames_of_a_recording_again() -> None:
    """In a new epoch, under their indices, with the pictures before them."""
    async with ingest_stand(PlayedSource(*_frames(*range(4))), in_flight=3) as stand:
        await stand.until_sent(3)
        stand.finish(0, 0)
        await stand.until_sent(4)
        stand.ask(RECOVER)
        await stand.until_sent(7)
        assert stand.numbers[4:] == [(1, 0, 1, 0), (1, 1, 2, 0), (1, 2, 3, 0)]
        assert [len(message.history) for message in stand.frames[4:]] == [1, 0, 0]
        event = next(event for event in stand.said(Event) if event.kind == "epoch")
        assert (event.epoch, event.about_node, event.frames_lost, event.reason) == (1, "encoder-0", 0, None)


async def test_recover_loses_live_frames_that_were_under_way() -> None:
    """They are counted, and the next frame brings all prompts anew."""
    source = PlayedSource(*_frames(0), live=True)
    async with ingest_stand(source, in_flight=3) as stand:
        await stand.until_sent(1)
        source.give(*_frames(1))
        await stand.until_sent(2)
        stand.ask(RECOVER)
        await stand.until(lambda: "epoch" in stand.events())
        source.give(*_frames(2))
        await stand.until_sent(3)
        assert stand.numbers[2] == (1, 0, 2, 0)
        assert len(stand.frames[2].history) == 2
        event = next(event for event in stand.said(Event) if event.kind == "epoch")
        assert (event.frames_lost, event.reason) == (2, "node_restart")
        assert stand.drops["node_restart"] == 2


async def test_restarted_node_goes_on_after_the_finished_frames_of_a_recording() -> None:
    """They are read and dropped, except for the pictures that later frames need; planned changes are not made again."""
    start = start_stream("a", epoch=2, next_index=3, memory=1, frames_done=3)
    changes = [{"at_s": 0.1, "prompts": ["b"]}, {"at_s": 0.4, "prompts": ["c"]}]
    async with ingest_stand(PlayedSource(*_frames(*range(5))), start=start, changes=changes) as stand:
        await stand.until_sent(2)
        assert stand.numbers == [(2, 0, 3, 0), (2, 1, 4, 0)]
        assert [len(message.history) for message in stand.frames] == [3, 4]
        assert [message.work.prompts[0].prompt.text for message in stand.frames] == ["a", "c"]
        assert {message.work.memory for message in stand.frames} == {1}
        stand.finish(2, 0)
        await stand.until(lambda: stand.state.frames_done == 4)
        assert stand.state.next_index == 4


async def test_restarted_node_of_a_live_source_skips_nothing() -> None:
    """And leaves planned changes alone: times begin anew, so nobody knows which were made."""
    start = start_stream("a", epoch=1, next_index=9, memory=1, frames_done=9)
    source = PlayedSource(*_frames(0), live=True)
    async with ingest_stand(source, start=start, changes=[{"at_s": 0, "prompts": ["b"]}]) as stand:
        await stand.until_sent(1)
        assert stand.numbers == [(1, 0, 9, 0)]
        assert stand.frames[0].work.prompts[0].prompt.text == "a"


# -- prompts


async def test_added_prompt_is_answered_told_and_attached_to_the_next_frame() -> None:
    """The answer, the published prompts and the frames agree on version and first frame."""
    source = PlayedSource(*_frames(0))
    async with ingest_stand(source) as stand:
        await stand.until_sent(1)
        stand.ask(AddPrompt(request_id="r1", stream="cam0", prompt=NewPrompt(text="the  cup")))
        await stand.until(lambda: bool(stand.said(PromptReply)))
        reply = stand.said(PromptReply)[0]
        assert [(prompt.id, prompt.text, prompt.version) for prompt in reply.prompts] == [
            ("p1", "a", 1),
            ("p2", "the cup", 2),
        ]
        assert (reply.version, reply.applies_from.index, reply.applies_from.seq) == (2, 1, 1)
        assert stand.said(PromptState)[-1].applies_from == reply.applies_from
        assert stand.events() == ["prompts_changed"]
        source.give(*_frames(1))
        await stand.until_sent(2)
        work = stand.frames[1].work
        assert (work.prompts_version, work.applies_from) == (2, reply.applies_from)
        assert [item.frames for item in work.prompts] == [1, 2]


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (RemovePrompt(request_id="r", stream="cam0", prompt_id="p9"), "unknown_prompt"),
        (AddPrompt(request_id="r", stream="cam0", prompt=NewPrompt(text="  ")), "invalid"),
        (SetPrompts(request_id="r", stream="cam0", prompts=tuple(NewPrompt(text=t) for t in "abc")), "too_many"),
        (SetParameters(request_id="r", stream="cam0", parameters={"speed": 2}), "invalid"),
        (ListPrompts(request_id="r", stream="cam1"), "unknown_stream"),
    ],
    ids=["unknown", "empty", "too many", "parameter", "other stream"],
)
async def test_request_that_cannot_be_done_is_refused_and_changes_nothing(request_: object, code: str) -> None:
    """With a code for programs."""
    async with ingest_stand(PlayedSource(), session={"max_prompts": 2}) as stand:
        stand.ask(request_)  # type: ignore[arg-type]
        await stand.until(lambda: bool(stand.said(ErrorReply)))
        reply = stand.said(ErrorReply)[0]
        assert (reply.code, reply.request_id) == (code, "r")
        stand.ask(ListPrompts(request_id="list", stream="cam0"))
        await stand.until(lambda: bool(stand.said(PromptReply)))
        assert stand.said(PromptReply)[0].version == 1


async def test_request_before_the_stream_begins_is_refused() -> None:
    """The node is ready before that."""
    async with ingest_stand(PlayedSource(), start=start_stream("a")) as stand:
        first = stand.hub.asked.get_nowait()
        stand.ask(ListPrompts(request_id="r", stream="cam0"), first)
        await stand.until(lambda: bool(stand.said(ErrorReply)))
        assert stand.said(ErrorReply)[0].code == "unavailable"
        assert stand.hub.is_ready
        await stand.until_status("starting")


async def test_planned_prompts_come_with_the_first_frame_at_their_time() -> None:
    """As `ssa-stream run` does it."""
    changes = [{"at_s": 0.15, "prompts": ["b", "a"]}]
    async with ingest_stand(PlayedSource(*_frames(0, 1, 2)), changes=changes) as stand:
        await stand.until_sent(3)
        assert [message.work.prompts_version for message in stand.frames] == [1, 1, 2]
        last = stand.frames[2].work
        assert [(item.prompt.id, item.prompt.text, item.frames) for item in last.prompts] == [
            ("p2", "b", 3),
            ("p1", "a", 1),
        ]
        assert last.applies_from.index == 2


# -- ends and losses


async def test_end_with_lookahead_tells_those_that_wait() -> None:
    """Only when that is finished too has the source ended; the node still answers."""
    async with ingest_stand(PlayedSource(*_frames(0, 1), None), session={"lookahead": 1}) as stand:
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
    async with ingest_stand(PlayedSource(*_frames(0), error), PlayedSource(*_frames(0))) as stand:
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
    lost = PlayedSource(*_frames(0), SourceError("unplugged"), live=True)
    found = PlayedSource(*_frames(0), live=True)
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
    async with ingest_stand(refused, refused, PlayedSource(*_frames(0), live=True), source="0") as stand:
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
        told = b"".join(bytes(part) for message in stand.hub.said for part in encode(message))
        assert b"nobody listens at" in told
        assert b"secret" not in told


async def test_wait_for_the_next_attempt_counts_down() -> None:
    """Each state says how long it is from its own time."""
    source = PlayedSource(*_frames(0), live=True)
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
    source = PlayedSource(*_frames(0), live=True)
    async with ingest_stand(source) as stand:
        await stand.until_sent(1)
        for stage, status in ((SourceStage.STALLED, "stalled"), (SourceStage.RECONNECTING, "lost")):
            said = SourceStatus(stage=stage, since_s=0, epoch=0, text="silent at rtsp://me:secret@host/1")
            stand.on_state(said)
            await stand.until_status(status)
            assert stand.state.text == "silent at rtsp://***@host/1"
        source.give(*_frames(1))
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
    lost = PlayedSource(*_frames(0), SourceError("unplugged"), live=True)
    async with ingest_stand(lost, PlayedSource(*_frames(0), live=True)) as stand:
        await stand.until_sent(2)
        assert stand.numbers[1] == (1, 0, 1, 0)


async def test_missing_recording_fails_and_a_missing_camera_is_tried_again() -> None:
    """Judged by the address: neither was ever open."""
    async with ingest_stand(SourceError("no such file"), source="clip.mp4") as stand:
        await stand.until_status("failed")
    async with ingest_stand(SourceError("no camera"), PlayedSource(*_frames(0), live=True), source="0") as stand:
        await stand.until_status("lost")
        await stand.until_sent(1)
        assert stand.numbers == [(0, 0, 0, 0)]


@pytest.mark.parametrize("lookahead", [0, 1])
async def test_recording_that_changes_its_size_is_finished_before_it_goes_on(lookahead: int) -> None:
    """Else the first frame of the new epoch might come before the last ones of the old epoch."""
    source = PlayedSource(*_frames(0, 1), *_frames(0, epoch=1, size=(64, 64)))
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
    first, second = PlayedSource(*_frames(0, 1)), PlayedSource(*_frames(0))
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
    async with ingest_stand(PlayedSource(*_frames(0))) as stand:
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
    async with ingest_stand(PlayedSource(*_frames(0))) as stand:
        await stand.until_status("running")
        count = len(stand.hub.said)
        await stand.until(lambda: len(stand.hub.said) > count)
        assert (stand.state.size, stand.state.rate_hz, stand.state.next_prompt_number) == ((48, 64), 10.0, 2)


async def test_node_ends_while_it_waits_to_begin() -> None:
    """A graph may end before control has said anything."""
    async with ingest_stand(PlayedSource()) as stand:
        stand.hub.asked.get_nowait()
        await stand.until(lambda: stand.hub.is_ready)
        assert stand.opened == []
