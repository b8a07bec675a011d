"""One stream at the masks node: waiting for what is missing, and going on after a restart."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ssa_stream.errors import SessionStateError
from ssa_stream.nodes.masks.outputs import OutputFrame
from ssa_stream.nodes.masks.stream import MaskStream, Waiting
from ssa_stream.protocols import DropNotice
from ssa_stream.streaming import Prompt, SessionConfig
from ssa_stream.streaming.decoding import DueFrame
from ssa_stream.streaming.masking import MaskKey
from ssa_stream.streaming.timeline import FrameStamp
from tests.support.frame_works import notice
from tests.support.tiny_model import tiny_model
from tests.unit.streaming.comparing import assert_same_results

WAIT = 100
PROMPT = Prompt("p1", "a dog", 1)
N, C = tiny_model().config.num_queries, tiny_model().config.hidden_dim


def _stream(*, has_outputs: bool = False) -> MaskStream:
    return MaskStream("cam0", tiny_model(), SessionConfig(threshold=0.0), has_outputs=has_outputs)


def _due(index: int, *prompts: Prompt, memory_from: int = 0) -> DueFrame:
    generator = torch.Generator().manual_seed(index % 2)
    P = len(prompts)
    return DueFrame(
        stamp=FrameStamp(index, index / 10, 0, False),
        size=(32, 64),
        prompts=prompts,
        probability=torch.rand(P, N, generator=generator),
        mask_embedding=torch.randn(P, N, C, generator=generator),
        aligned=torch.randn(P, N, C, generator=generator),
        status="final",
        memory_from=memory_from,
    )


def _waiting(due: DueFrame | DropNotice) -> Waiting:
    # What is waited for depends on the due frame alone; any message stands for it.
    return Waiting(due, None, 0) if isinstance(due, DropNotice) else Waiting(notice(due.stamp.index), due, 0)


def _features(index: int, prompt: Prompt = PROMPT) -> dict[MaskKey, torch.Tensor]:
    return {MaskKey(prompt.prompt_id, prompt.version, index): torch.randn(C, 10, 24)}


def test_due_frame_waits_for_its_mask_features_and_notices_for_frames_before_them() -> None:
    """In order; when the wait is over it goes without."""
    stream = _stream()
    for item in (_due(0, PROMPT), notice(1), _due(2)):
        stream.add(_waiting(item))
    assert stream.next(WAIT - 1, WAIT) is None
    assert stream.deadline_ns(WAIT) == WAIT
    stream.add_features(_features(0))
    taken = [stream.next(0, WAIT) for _ in range(4)]
    assert [one.due.stamp.index if one and one.due else one is not None for one in taken] == [0, True, 2, False]
    stream.add(_waiting(_due(3, PROMPT)))
    assert stream.next(WAIT, WAIT) is not None


def test_due_frame_waits_for_its_picture_where_it_is_drawn_on() -> None:
    """Pictures up to a frame that is out are forgotten."""
    stream = _stream(has_outputs=True)
    stream.add(_waiting(_due(0)))
    assert stream.next(0, WAIT) is None
    stream.add_picture(0, OutputFrame(np.zeros((2, 2, 3), dtype=np.uint8), 0, 0, 0.0))
    assert stream.next(0, WAIT) is not None
    assert stream.picture(0) is not None
    stream.forget_pictures(0)
    assert stream.picture(0) is None


def test_frame_that_is_out_is_not_made_again() -> None:
    """It came again after a restart; by number and time, so that a new source may count from 0."""
    stream = _stream()
    stream.add_features(_features(4))
    assert len(stream.make_masks(_due(4, PROMPT))) == 1
    assert stream.is_repeated(_due(4, PROMPT))
    assert stream.is_repeated(_due(3, PROMPT))
    assert not stream.is_repeated(_due(5, PROMPT))
    assert not stream.is_repeated(replace(_due(2, PROMPT), stamp=FrameStamp(2, 9.0, 0, False)))


def test_restarted_stream_follows_the_same_tracks() -> None:
    """Mask features are not saved: they come again."""
    stream, other = _stream(), _stream()
    for index in range(3):
        stream.add_features(_features(index))
        stream.make_masks(_due(index, PROMPT))
    stream.add_features(_features(3))
    other.restore(stream.to_bytes("x"), "x")
    assert other.state.features == ()
    other.add_features({item.key: item.features for item in stream.state.features})
    (one,), (twin,) = stream.make_masks(_due(3, PROMPT)), other.make_masks(_due(3, PROMPT))
    assert [(track.track_id, track.score) for track in one.tracks] == [
        (track.track_id, track.score) for track in twin.tracks
    ]
    assert one.tracks
    with pytest.raises(SessionStateError, match="other settings"):
        other.restore(stream.to_bytes("x"), "y")
    with pytest.raises(SessionStateError):
        other.restore(b"damaged", "x")


def test_restarted_stream_makes_again_what_comes_again() -> None:
    """With the tracks from before it: nobody knows which messages of the killed node got through."""
    stream, other = _stream(), _stream()
    made = []
    for index in range(5):
        stream.add_features(_features(index))
        kept = stream.state.features
        made += stream.make_masks(_due(index, PROMPT))
        if index >= 3:
            other.add_features({item.key: item.features for item in kept})
    features = other.state.features
    other.restore(stream.to_bytes("x"), "x")
    other.add_features({item.key: item.features for item in features})
    assert not other.is_repeated(_due(3, PROMPT))
    again = [one for index in (3, 4) for one in other.make_masks(_due(index, PROMPT))]
    assert_same_results(again, made[3:])
    assert other.is_repeated(_due(4, PROMPT))


def test_due_frame_whose_features_were_lost_makes_way_for_a_new_epoch() -> None:
    """It will come again in it; what has all that it needs still leaves."""
    stream = _stream()
    for due in (_due(0, PROMPT), _due(1, PROMPT)):
        stream.add(_waiting(due))
    assert stream.leave_lost() == []
    stream.add(Waiting(notice(0, epoch=1, index=0), _due(0, PROMPT), 0))
    assert [one.seq for one in stream.leave_lost()] == [0, 1]
    assert len(stream) == 1


def test_what_waits_behind_a_lost_frame_comes_again_as_well() -> None:
    """It has all that it needs, but would say that the lost frame is finished; of a live stream it still leaves."""
    for live in (False, True):
        stream = _stream()
        for index in range(3):
            stream.add(Waiting(notice(index, live=live), _due(index, PROMPT), 0))
        stream.add_features(_features(1) | _features(2))
        stream.add(Waiting(notice(0, epoch=1, index=0, live=live), _due(0, PROMPT), 0))
        assert [one.seq for one in stream.leave_lost()] == ([0] if live else [0, 1, 2])
        assert len(stream) == (3 if live else 1)


def test_epoch_that_began_before_a_restart_is_not_joined() -> None:
    """Its first frames went to who is no more; the next epoch is complete. A live stream goes on with what it gets."""
    stream = _stream()
    late, again = [notice(11), notice(12)], [notice(0, epoch=1, index=9), notice(1, epoch=1, index=10)]
    assert [stream.add(Waiting(one, None, 0)) for one in (*late, *again)] == [False, False, True, True]
    assert len(stream) == 2
    assert _stream().add(Waiting(notice(11, live=True), None, 0))
    assert _stream().add(Waiting(notice(0), None, 0))


def test_prompt_without_mask_features_keeps_its_tracks() -> None:
    """Ids go on in the next frame."""
    stream = _stream()
    other = Prompt("p2", "the red car", 1)
    stream.add_features(_features(0) | _features(0, other))
    first = {
        one.prompt_id: [track.track_id for track in one.tracks] for one in stream.make_masks(_due(0, PROMPT, other))
    }
    stream.add_features(_features(2))
    assert [one.prompt_id for one in stream.make_masks(_due(2, PROMPT, other))] == ["p1"]
    assert {item.prompt.prompt_id for item in stream.state.tracks} == {"p1", "p2"}
    assert first["p2"]


def test_failed_frame_is_out_without_masks() -> None:
    """Its mask features are let go."""
    stream = _stream()
    stream.add_features(_features(0) | _features(1))
    stream.give_up(_due(0, PROMPT))
    assert stream.is_repeated(_due(0, PROMPT))
    assert not stream.is_repeated(_due(1, PROMPT))
    assert [item.key.frame_index for item in stream.state.features] == [1]
