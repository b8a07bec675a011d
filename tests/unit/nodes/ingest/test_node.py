"""The ingest node with a source that a test plays: flow, restarts, prompts."""

from functools import partial
from typing import TypeVar

import msgspec
import numpy as np
import pytest

from ssa_stream.model.preprocess import network_size, resize_frame
from ssa_stream.protocols import (
    AddPrompt,
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
)
from ssa_stream.sources import Frame
from tests.support.ingest import start_stream
from tests.support.ingest_stand import IngestStand, PlayedSource, ingest_stand
from tests.support.scripted_source import numbered_frames

M = TypeVar("M")
RECOVER = Recover(stream="cam0", about_node="encoder-0", reason="exited")


# -- flow


async def test_recording_waits_for_room_and_loses_nothing() -> None:
    """At most as many frames are under way as the window takes."""
    async with ingest_stand(PlayedSource(*numbered_frames(*range(6)), None), in_flight=2) as stand:
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
        source.give(*numbered_frames(0))
        await stand.until_sent(1)
        source.give(*numbered_frames(1, 2, 3, 4))
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
        source.give(*numbered_frames(0))
        await stand.until_sent(1)
        source.give(*numbered_frames(1, 2), Frame(numbered_frames(0)[0].image, 0, 1, 9.0, 0))
        await stand.until(lambda: source._steps.empty())
        stand.finish(0, 0)
        await stand.until(lambda: stand.frames[-1].work.frame.epoch == 1)
        stand.finish(1, 0)
        await stand.until(lambda: bool(stand.drops))
        await stand.settle()
        counts = {one.name: one.value for one in stand.metrics.statistics().counters}
        assert counts["frames_received"] == 4 == len(stand.frames) + stand.drops["overtaken"]


async def test_window_is_told_to_be_empty_when_all_is_finished() -> None:
    """Not only when something is sent."""
    async with ingest_stand(PlayedSource(*numbered_frames(0, 1))) as stand:
        await stand.until_sent(2)
        stand.finish(0, 1)
        await stand.until(lambda: [one.depth for one in stand.metrics.heartbeat(ready=True).queues] == [0])


async def test_picture_is_resized_as_a_session_does() -> None:
    """Bit by bit; and the padded size is said."""
    rng = np.random.default_rng(3)
    image = rng.integers(0, 256, (90, 121, 3), dtype=np.uint8)
    async with ingest_stand(PlayedSource(Frame(image, 0, 0, 0.0, 0))) as stand:
        await stand.until_sent(1)
        payload = stand.links.sent[0][1]
        size = network_size((90, 121), 32, 64)
        assert payload is not None
        assert np.array_equal(np.asarray(payload.items[0]), resize_frame(image, size))
        sizes = stand.frames[0].work.sizes
        assert (sizes.source, sizes.network, sizes.padded) == ((90, 121), size, (32, 64))
        assert stand.frames[0].work.times[0].role == "ingest"


async def test_pictures_go_to_masks_only_if_the_stream_has_outputs() -> None:
    """At the size of the source, before the frame."""
    async with ingest_stand(PlayedSource(*numbered_frames(0))) as plain:
        await plain.until_sent(1)
        assert len(plain.links.sent) == 1
    async with ingest_stand(PlayedSource(*numbered_frames(0)), outputs=["overlay.mp4"]) as stand:
        await stand.until_sent(1)
        picture = stand.links.sent[0][0]
        assert isinstance(picture, PictureMessage)
        assert (picture.image.shape, picture.frame) == ((48, 64, 3), stand.frames[0].work.frame)


async def test_finished_that_is_of_no_frame_of_the_stream_is_passed_over() -> None:
    """Of another stream, or before this one begins, as after a restart of this node."""
    finished = Finished(node="masks-0", incarnation=0, stream="cam0", epoch=0, seq=0)
    async with ingest_stand(PlayedSource(*numbered_frames(0, 1)), in_flight=1) as stand:
        first = stand.broker.asked.get_nowait()
        stand.ask(finished, first)
        await stand.until_sent(1)
        stand.ask(msgspec.structs.replace(finished, stream="cam1"))
        await stand.settle()
        assert len(stand.frames) == 1
        stand.ask(finished)
        await stand.until_sent(2)


async def test_frame_that_no_encoder_takes_is_sent_again_or_lost_if_live() -> None:
    """A recording waits for an encoder; a live source goes on."""
    async with ingest_stand(PlayedSource(*numbered_frames(0, 1)), in_flight=1) as stand:
        stand.links.refuses = True
        await stand.until_status("running")
        await stand.settle()
        stand.links.refuses = False
        await stand.until_sent(1)
        assert stand.numbers == [(0, 0, 0, 0)]
    source = PlayedSource(*numbered_frames(0), live=True)
    async with ingest_stand(source, in_flight=1) as stand:
        stand.links.refuses = True
        await stand.until(lambda: "queue_full" in stand.drops)
        stand.links.refuses = False
        source.give(*numbered_frames(1))
        await stand.until_sent(1)
        assert stand.numbers == [(0, 1, 1, 1)]


async def test_frame_whose_picture_is_not_taken_waits_for_it_or_is_lost_if_live() -> None:
    """A frame that went on alone would be waited for at the masks node, and hold up all behind it."""
    source = PlayedSource(*numbered_frames(0, 1))
    async with ingest_stand(source, outputs=["overlay.mp4"]) as stand:
        stand.links.refuses_pictures = True
        await stand.until(lambda: stand.links.refused >= 3)
        assert stand.frames == []
        stand.links.refuses_pictures = False
        await stand.until_sent(2)
        assert stand.numbers == [(0, 0, 0, 0), (0, 1, 1, 0)]
        assert stand.pictures == [message.work.frame for message in stand.frames]
        assert stand.drops == {}
    source = PlayedSource(*numbered_frames(0), live=True)
    async with ingest_stand(source, outputs=["overlay.mp4"]) as stand:
        stand.links.refuses_pictures = True
        await stand.until(lambda: stand.drops == {"queue_full": 1})
        assert stand.frames == []
        stand.links.refuses_pictures = False
        source.give(*numbered_frames(1))
        await stand.until_sent(1)
        assert stand.numbers == [(0, 1, 1, 1)]
        assert stand.pictures == [message.work.frame for message in stand.frames]


async def test_node_that_waits_for_a_picture_to_be_taken_ends_when_it_is_told_to() -> None:
    """However long the masks node takes none."""
    async with ingest_stand(PlayedSource(*numbered_frames(0)), outputs=["overlay.mp4"]) as stand:
        stand.links.refuses_pictures = True
        await stand.until(lambda: stand.links.refused >= 1)
    assert stand.frames == []


async def test_picture_is_sent_once_however_often_its_frame_is_tried() -> None:
    """In a new epoch it is sent again: the masks node may be another one."""
    async with ingest_stand(PlayedSource(*numbered_frames(0)), outputs=["overlay.mp4"]) as stand:
        stand.links.refuses_frames = True
        await stand.until(lambda: stand.links.refused >= 3)
        assert len(stand.pictures) == 1
        stand.ask(RECOVER)
        await stand.until(lambda: len(stand.pictures) == 2)
        stand.links.refuses_frames = False
        await stand.until_sent(1)
        assert [(frame.epoch, frame.seq) for frame in stand.pictures] == [(0, 0), (1, 0)]
        assert stand.numbers == [(1, 0, 0, 0)]


async def test_first_frames_end_the_stream_where_it_is_limited() -> None:
    """`max_frames` counts frames that are sent."""
    source = PlayedSource(*numbered_frames(*range(9)))
    async with ingest_stand(source, max_frames=2) as stand:
        await stand.until_sent(2)
        stand.finish(0, 1)
        await stand.until_status("ended")
        assert len(stand.frames) == 2
        assert source.closed.is_set()


async def test_restarted_node_counts_the_frames_of_its_earlier_starts_towards_the_limit() -> None:
    """Here nothing is left to be sent."""
    start = start_stream("a", epoch=1, next_index=3, frames_done=3)
    async with ingest_stand(PlayedSource(*numbered_frames(*range(9))), start=start, max_frames=3) as stand:
        await stand.until_status("ended")
        assert stand.frames == []


async def test_restarted_node_does_not_count_earlier_plays_of_a_recording_towards_the_limit() -> None:
    """Their frames have indices, which go on."""
    start = start_stream("a", epoch=1, next_index=13, frames_done=1)
    async with ingest_stand(PlayedSource(*numbered_frames(*range(9))), start=start, max_frames=3) as stand:
        await stand.until_sent(2)
        stand.finish(1, 1)
        await stand.until_status("ended")
        assert stand.numbers == [(1, 0, 13, 0), (1, 1, 14, 0)]


# -- restarts of nodes and of this one


async def test_recover_sends_unfinished_frames_of_a_recording_again() -> None:
    """In a new epoch, under their indices, with the pictures before them."""
    async with ingest_stand(PlayedSource(*numbered_frames(*range(4))), in_flight=3) as stand:
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
    source = PlayedSource(*numbered_frames(0), live=True)
    async with ingest_stand(source, in_flight=3) as stand:
        await stand.until_sent(1)
        source.give(*numbered_frames(1))
        await stand.until_sent(2)
        stand.ask(RECOVER)
        await stand.until(lambda: "epoch" in stand.events())
        source.give(*numbered_frames(2))
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
    async with ingest_stand(PlayedSource(*numbered_frames(*range(5))), start=start, changes=changes) as stand:
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
    source = PlayedSource(*numbered_frames(0), live=True)
    async with ingest_stand(source, start=start, changes=[{"at_s": 0, "prompts": ["b"]}]) as stand:
        await stand.until_sent(1)
        assert stand.numbers == [(1, 0, 9, 0)]
        assert stand.frames[0].work.prompts[0].prompt.text == "a"


# -- prompts


async def test_added_prompt_is_answered_told_and_attached_to_the_next_frame() -> None:
    """The answer, the published prompts and the frames agree on version and first frame."""
    source = PlayedSource(*numbered_frames(0))
    async with ingest_stand(source) as stand:
        await stand.until_sent(1)
        stand.ask(AddPrompt(request_id="r1", stream="cam0", prompt=NewPrompt(text="the  ring")))
        await stand.until(lambda: bool(stand.said(PromptReply)))
        reply = stand.said(PromptReply)[0]
        assert [(prompt.id, prompt.text, prompt.version) for prompt in reply.prompts] == [
            ("p1", "a", 1),
            ("p2", "the ring", 2),
        ]
        assert (reply.version, reply.applies_from.index, reply.applies_from.seq) == (2, 1, 1)
        assert stand.said(PromptState)[-1].applies_from == reply.applies_from
        assert stand.events() == ["prompts_changed"]
        source.give(*numbered_frames(1))
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
        first = stand.broker.asked.get_nowait()
        stand.ask(ListPrompts(request_id="r", stream="cam0"), first)
        await stand.until(lambda: bool(stand.said(ErrorReply)))
        assert stand.said(ErrorReply)[0].code == "unavailable"
        assert stand.broker.is_ready
        await stand.until_status("starting")


async def test_planned_prompts_come_with_the_first_frame_at_their_time() -> None:
    """As `ssa-stream run` does it."""
    changes = [{"at_s": 0.15, "prompts": ["b", "a"]}]
    async with ingest_stand(PlayedSource(*numbered_frames(0, 1, 2)), changes=changes) as stand:
        await stand.until_sent(3)
        assert [message.work.prompts_version for message in stand.frames] == [1, 1, 2]
        last = stand.frames[2].work
        assert [(item.prompt.id, item.prompt.text, item.frames) for item in last.prompts] == [
            ("p2", "b", 3),
            ("p1", "a", 1),
        ]
        assert last.applies_from.index == 2


async def test_prompt_longer_than_clip_reads_is_told_with_the_answer_and_as_an_event() -> None:
    """With the number of its tokens; the event comes once."""
    text = " ".join(["the red circle that moves over the ground"] * 12)
    async with ingest_stand(PlayedSource(live=True)) as stand:
        for number in range(2):
            request = SetPrompts(request_id=f"r{number}", stream="cam0", prompts=(NewPrompt(text=text),))
            stand.ask(request)
            await stand.until(partial(_has_replies, stand, number + 1))
        for reply in _of(stand, PromptReply):
            (warning,) = reply.warnings or ()
            assert "it has 96 of CLIP's tokens, and the first 75 are read" in warning
        (event,) = [event for event in _of(stand, Event) if event.kind == "input_warning"]
        assert (event.prompt_id, event.severity) == (reply.prompts[0].id, "warning")
        assert event.text == warning


async def test_prompt_with_words_that_the_checkpoint_lacks_is_told_with_the_answer_and_as_an_event() -> None:
    """The words by name; a prompt without such words has no warning."""
    async with ingest_stand(PlayedSource(live=True)) as stand:
        for number, text in enumerate(("the big white rabbit", "the red circle")):
            prompts = (NewPrompt(text=text),)
            stand.ask(SetPrompts(request_id=f"r{number}", stream="cam0", prompts=prompts))
            await stand.until(partial(_has_replies, stand, number + 1))
            await stand.until(lambda: "input_warning" in stand.events())
        first, second = _of(stand, PromptReply)
        (warning,) = first.warnings or ()
        assert 'ssa-tiny does not know "rabbit"' in warning
        assert not second.warnings
        assert [event.text for event in _of(stand, Event) if event.kind == "input_warning"] == [warning]


def _has_replies(stand: IngestStand, count: int) -> bool:
    return len(_of(stand, PromptReply)) == count


def _of(stand: IngestStand, kind: type[M]) -> list[M]:
    """What the node said of a kind."""
    return [message for message in stand.broker.said if isinstance(message, kind)]
