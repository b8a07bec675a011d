"""One stream at the decoder: everything that enters leaves, in order, also what comes again."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ssa_stream.errors import SessionStateError
from ssa_stream.nodes.decoder.decoding import Due, ResumableDecoder
from ssa_stream.nodes.decoder.history import KeptState, StateHistory
from ssa_stream.nodes.decoder.stream import NextFrame, OrderedStream, RowPart, decode_together
from ssa_stream.protocols import DropNotice, FrameWork
from ssa_stream.streaming import SessionConfig
from tests.support.frame_works import notice, rows, work
from tests.support.tiny_model import tiny_model
from tests.unit.streaming.comparing import property_test

SIZES = (tiny_model().config.num_queries, tiny_model().config.hidden_dim)


def _decoder(capacity: int = 4, **settings: Any) -> ResumableDecoder:
    return ResumableDecoder(tiny_model(), SessionConfig(**{"window": 4, **settings}), capacity)


def _take(decoder: ResumableDecoder, item: FrameWork | DropNotice) -> list[Due | DropNotice]:
    with torch.inference_mode():
        return (
            decoder.take_notice(item) if isinstance(item, DropNotice) else decoder.take_frame(item, rows(item, *SIZES))
        )


def _names(left: Sequence[Due | DropNotice]) -> list[tuple[int, int, str]]:
    return [
        (item.frame.epoch, item.frame.seq, item.reason)
        if isinstance(item, DropNotice)
        else (item.work.frame.epoch, item.work.frame.seq, item.frame.status)
        for item in left
    ]


@property_test(15)
@given(
    kinds=st.lists(st.sampled_from(["frame", "frame", "frame", "drop", "no prompts"]), max_size=14),
    lookahead=st.integers(0, 3),
)
def test_everything_leaves_once_and_in_order(kinds: list[str], lookahead: int) -> None:
    """Frames with and without prompts, and notices, which wait for the frames before them."""
    decoder = _decoder(capacity=4 + lookahead, lookahead=lookahead)
    left: list[Due | DropNotice] = []
    for seq, kind in enumerate(kinds):
        match kind:
            case "frame":
                left += _take(decoder, work(seq, "a dog"))
            case "no prompts":
                left += _take(decoder, work(seq))
            case "drop":
                left += _take(decoder, notice(seq))
        assert seq + 1 - len(left) < 4 + lookahead  # there is room for another one
    left += _take(decoder, notice(len(kinds), reason="ended"))
    assert [seq for _, seq, _ in _names(left)] == list(range(len(kinds) + 1))


def test_frame_that_comes_again_is_decoded_from_the_state_before_it() -> None:
    """To the bit; what is sent again leaves again under its new name, and what is not does not."""
    decoder, other = _decoder(lookahead=1), _decoder(lookahead=1)
    first = [item for seq in range(5) for item in _take(decoder, work(seq, "a dog"))]
    again = []
    for seq, index in enumerate(range(3, 6)):
        again += _take(decoder, work(seq, "a dog", epoch=1, index=index, frames=4 if seq == 0 else 1))
    expected = [item for seq in range(6) for item in _take(other, work(seq, "a dog"))]
    assert _names(first) == [(0, seq, "final") for seq in range(4)]
    assert _names(again) == [(1, 0, "final"), (1, 1, "final")]
    found = {item.frame.stamp.index: item.frame for item in again if isinstance(item, Due)}
    for item in expected:
        assert isinstance(item, Due)
        if item.frame.stamp.index in found:
            twin = found[item.frame.stamp.index]
            assert torch.equal(twin.aligned, item.frame.aligned)
            assert torch.equal(twin.probability, item.frame.probability)
            assert torch.equal(twin.mask_embedding, item.frame.mask_embedding)
    assert set(found) >= {3, 4}


@pytest.mark.parametrize(("applies_from", "version"), [(0, 2), (1, 1)])
def test_due_frame_has_the_version_of_the_prompts_that_apply_to_it(applies_from: int, version: int) -> None:
    """With lookahead a change may apply to frames that were sent before it."""
    decoder = _decoder(lookahead=1)
    _take(decoder, work(0, "a dog"))
    changed = work(1, "a cat", applies_from=applies_from)
    (due,) = _take(decoder, msgspec.structs.replace(changed, prompts_version=2))
    assert isinstance(due, Due)
    assert (due.work.frame.index, due.prompts_version) == (0, version)


def test_frame_from_before_all_that_is_kept_begins_anew_with_its_replay() -> None:
    """As in a decoder that was restarted without a saved state."""
    decoder = _decoder(capacity=1)
    for seq in range(6):
        _take(decoder, work(seq, "a dog"))
    (due,) = _take(decoder, work(0, "a dog", epoch=1, index=2, frames=3))
    assert isinstance(due, Due)
    (memory,) = decoder.history.last.state.windows
    assert memory.frames == (0, 1, 2)


def test_saved_history_goes_on_bit_for_bit() -> None:
    """Into the middle of a stream, back to a frame before it was saved."""
    decoder, config = _decoder(), "x"
    for seq in range(5):
        _take(decoder, work(seq, "a dog"))
    loaded = StateHistory.from_bytes(decoder.history.to_bytes(config), 5, config)
    assert loaded is not None
    assert StateHistory.from_bytes(decoder.history.to_bytes(config), 5, "other settings") is None
    restarted = ResumableDecoder(tiny_model(), SessionConfig(window=4), 4, history=loaded)
    (one,) = _take(restarted, work(0, "a dog", epoch=1, index=4, frames=4))
    (other,) = _take(decoder, work(0, "a dog", epoch=1, index=4, frames=4))
    assert isinstance(one, Due)
    assert isinstance(other, Due)
    assert torch.equal(one.frame.aligned, other.frame.aligned)
    assert torch.equal(one.frame.probability, other.frame.probability)
    with pytest.raises(SessionStateError):
        StateHistory.from_bytes(b"hello", 5, config)


def test_history_gives_the_state_before_a_frame() -> None:
    """A frame that is later by number or time follows the present state."""
    history = StateHistory(3)
    for index in range(5):
        history.append(KeptState(index=index, t=index / 10, memory=0))
    assert history.before(5, 0.5) is history.last
    assert history.before(2, 99.0) is history.last  # numbers began again, times did not
    before = history.before(4, 0.4)
    assert before is not None
    assert before.index == 3
    assert history.before(2, 0.2) is None
    history.back_to(before)
    assert history.last is before


def test_new_prompt_gives_no_results_before_it_applies() -> None:
    """A frame was lost, so an older one still waits: it stays with the prompts it had."""
    decoder = _decoder(capacity=8, lookahead=2)
    for seq in (0, 1, 2):
        _take(decoder, work(seq, "a dog"))
    _take(decoder, notice(3))
    changed = work(4, "a dog", "the red car", frames=3, applies_from=2)
    left = _take(decoder, changed)
    left += _take(decoder, work(5, "a dog", "the red car", applies_from=2))
    due = {item.frame.stamp.index: item.frame for item in left if isinstance(item, Due)}
    assert [prompt.text for prompt in due[1].prompts] == ["a dog"]
    assert [prompt.text for prompt in due[2].prompts] == ["a dog", "the red car"]


def test_memory_that_began_anew_gives_what_waited_and_clears() -> None:
    """Times may go back then, and the size may change."""
    decoder = _decoder(lookahead=1)
    for seq in (0, 1):
        _take(decoder, work(seq, "a dog"))
    left = _take(decoder, work(0, "a dog", epoch=1, index=2, memory=1, t=0.0))
    assert _names(left) == [(0, 1, "final")]
    (due,) = _take(decoder, work(1, "a dog", epoch=1, index=3, memory=1, t=0.1))
    assert isinstance(due, Due)
    assert (due.frame.stamp.after_reset, due.frame.memory_from) == (True, 2)


def test_call_that_raises_changes_nothing() -> None:
    """A time that is not later within a memory, under a number that is."""
    decoder = _decoder()
    _take(decoder, work(0, "a dog"))
    before = decoder.history.last
    with pytest.raises(SessionStateError):
        _take(decoder, work(1, "a dog", t=-1.0))
    assert decoder.history.last is before
    assert _names(_take(decoder, notice(1, reason="failed"))) == [(0, 1, "failed")]


def _next(texts: Sequence[str], seq: int, stream: OrderedStream, **fields: Any) -> tuple[OrderedStream, NextFrame]:
    item = work(seq, *texts, **fields)
    queries = rows(item, *SIZES)
    parts = () if queries is None else (RowPart(item, queries.queries, queries.text, 0),)
    return stream, NextFrame(item, parts)


def test_frames_of_several_streams_are_decoded_as_each_alone_but_for_rounding() -> None:
    """Of streams with windows of different lengths and numbers of prompts."""
    config, texts = SessionConfig(window=4), (["a dog"], ["the red car", "a bird"], ["a star"])
    alone, together = [[OrderedStream(_decoder(), 0) for _ in texts] for _ in range(2)]
    for stream in (alone[2], together[2]):
        stream.decode(_next(texts[2], 0, stream)[1])
    for seq in range(1, 5):
        expected = [one.decode(_next(of, seq, one)[1]) for of, one in zip(texts, alone, strict=True)]
        batch = [_next(of, seq, one) for of, one in zip(texts, together, strict=True)]
        assert [one.rows_of(frame) for one, frame in batch] == [1, 2, 1]
        for (ours,), (theirs,) in zip(decode_together(tiny_model(), config, batch), expected, strict=True):
            assert isinstance(ours, Due)
            assert isinstance(theirs, Due)
            assert ours.frame.prompts == theirs.frame.prompts
            assert _names([ours]) == _names([theirs])
            for name in ("probability", "mask_embedding", "aligned"):
                torch.testing.assert_close(getattr(ours.frame, name), getattr(theirs.frame, name), rtol=1e-5, atol=1e-5)


def test_batch_that_raises_changes_none_of_its_streams() -> None:
    """One of them has a time that is not later; the others can be decoded alone afterwards."""
    streams = [OrderedStream(_decoder(), 0) for _ in range(2)]
    for one in streams:
        one.decode(_next(["a dog"], 0, one)[1])
    before = [one.decoder.history.last for one in streams]
    batch = [_next(["a dog"], 1, streams[0]), _next(["a dog"], 1, streams[1], t=-1.0)]
    with pytest.raises(SessionStateError):
        decode_together(tiny_model(), SessionConfig(window=4), batch)
    assert all(one.decoder.history.last is last for one, last in zip(streams, before, strict=True))
    assert _names(streams[0].decode(batch[0][1])) == [(0, 1, "final")]


@pytest.mark.parametrize(
    ("item", "expected"),
    [(work(1, "a dog", "a bird"), 2), (work(1, "a dog", frames=3), None), (work(1), None), (notice(1), None)],
    ids=["steady", "replay", "no prompts", "notice"],
)
def test_what_is_no_step_of_running_windows_goes_alone(item: FrameWork | DropNotice, expected: int | None) -> None:
    """The number of its windows, or None."""
    assert OrderedStream(_decoder(), 0).rows_of(NextFrame(item)) == expected
