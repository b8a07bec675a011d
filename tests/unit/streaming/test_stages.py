"""The stages of a session one by one, as nodes run them."""

import pytest
import torch

from ssa_stream.errors import SessionStateError
from ssa_stream.model import network_size
from ssa_stream.streaming import Prompt, ReferSession, SessionConfig
from ssa_stream.streaming.decoding import DecoderState, IncomingFrame, PromptRows, decode_frame, flush_decoder
from ssa_stream.streaming.masking import MaskKey, MaskState, keep_mask_features, lacking, mask_frame
from tests.support.tiny_model import random_frames, tiny_config, tiny_model
from tests.unit.streaming.comparing import saved

PROMPTS = (Prompt("p1", "a dog", 1), Prompt("p2", "the red car", 1))
N, C = tiny_config().num_queries, tiny_config().hidden_dim


def _rows(count: int, seed: int) -> PromptRows:
    """As many rows for each prompt."""
    generator = torch.Generator().manual_seed(seed)
    R = count * len(PROMPTS)
    return PromptRows(
        PROMPTS,
        (count,) * len(PROMPTS),
        torch.randn(R, N, C, generator=generator),
        torch.randn(R, C, generator=generator),
    )


def _frame(index: int, rows: PromptRows | None, **fields: object) -> IncomingFrame:
    return IncomingFrame(index, index / 10, (32, 64), rows, **fields)  # type: ignore[arg-type]


def test_rows_of_a_prompt_are_its_earlier_frames_and_the_newest() -> None:
    """Oldest first, wherever they are in the batch."""
    rows = PromptRows(PROMPTS, (3, 2), torch.arange(5.0)[:, None, None], torch.arange(5.0)[:, None])
    assert rows.batch(0, 3).queries.flatten().tolist() == [2, 3, 0]
    assert rows.batch(0, 2).text.flatten().tolist() == [3, 0]
    assert rows.batch(0, 1).queries.flatten().tolist() == [0]
    assert rows.batch(1, 2).queries.flatten().tolist() == [4, 1]


def test_replayed_rows_of_a_running_window_are_not_used() -> None:
    """A memory that is there is not made anew."""
    model, config = tiny_model(), SessionConfig(window=4)
    with torch.inference_mode():
        state, _ = decode_frame(model, config, DecoderState(), _frame(0, _rows(1, 0)))
        one, _ = decode_frame(model, config, state, _frame(1, _rows(2, 1)))
    assert [item.frames for item in one.windows] == [(0, 1), (0, 1)]
    assert one.windows[0].window.aligned.shape[0] == 2


def test_rows_from_before_a_gap_are_not_used() -> None:
    """Whoever made them did not know of the gap."""
    model, config = tiny_model(), SessionConfig(window=4, lookahead=1)
    with torch.inference_mode():
        state, first = decode_frame(model, config, DecoderState(), _frame(0, _rows(1, 0)))
        late = IncomingFrame(1, 99.0, (32, 64), _rows(2, 1))
        state, due = decode_frame(model, config, state, late)
    assert first == []
    assert [(one.stamp.index, one.status, len(one.prompts)) for one in due] == [(0, "final", 2)]
    assert [item.frames for item in state.windows] == [(1,), (1,)]
    assert state.memory_from == 1


def test_removed_prompt_gives_no_results_from_where_the_change_applies() -> None:
    """Also where a gap ends the wait of frames."""
    model, config = tiny_model(), SessionConfig(window=4, lookahead=2)
    with torch.inference_mode():
        state, _ = decode_frame(model, config, DecoderState(), _frame(0, _rows(1, 0)))
        state, _ = decode_frame(model, config, state, _frame(1, _rows(1, 1)))
        left = PromptRows(PROMPTS[:1], (1,), torch.randn(1, N, C), torch.randn(1, C))
        _, due = decode_frame(model, config, state, IncomingFrame(2, 99.0, (32, 64), left, applies_from=1))
    assert [[prompt.prompt_id for prompt in one.prompts] for one in due] == [["p1", "p2"], ["p1"]]


def test_frame_without_prompts_is_due_all_the_same() -> None:
    """Somebody may wait for its end."""
    model, config = tiny_model(), SessionConfig(lookahead=1)
    with torch.inference_mode():
        state, _ = decode_frame(model, config, DecoderState(), _frame(0, None))
        state, (due,) = decode_frame(model, config, state, _frame(1, None))
        _, (last,) = flush_decoder(model, state)
        masks, results = mask_frame(model, config, MaskState(), due)
    assert (due.stamp.index, last.stamp.index, due.probability.shape) == (0, 1, (0, N))
    assert (masks.tracks, results) == ((), [])


def test_saved_decoder_goes_on_bit_for_bit() -> None:
    """Its bytes are of the same kind as those of a session, but are not taken for one."""
    session = ReferSession(tiny_model(), SessionConfig(window=3, lookahead=1), ["a dog"])
    for frame in random_frames(5):
        session.push(frame)
    state = session.state().decoder
    again = DecoderState.from_bytes(state.to_bytes())
    assert again.to_bytes() == state.to_bytes()
    with torch.inference_mode():
        (one,), (other,) = (flush_decoder(tiny_model(), item)[1] for item in (state, again))
    assert torch.equal(one.aligned, other.aligned)
    with pytest.raises(SessionStateError, match="not a decoder state"):
        DecoderState.from_bytes(saved(session))


def test_mask_features_are_kept_until_their_frame_is_out() -> None:
    """One that comes again takes the place of the former; what lacks is told."""
    model, config = tiny_model(), SessionConfig()
    with torch.inference_mode():
        _, (due,) = decode_frame(model, config, DecoderState(), _frame(0, _rows(1, 0)))
        features = {MaskKey("p1", 1, index): torch.randn(C, 8, 16) for index in (0, 1)}
        state = keep_mask_features(MaskState(), features)
        assert len(keep_mask_features(state, features).features) == 2
        assert lacking(state, due) == PROMPTS[1:]
        state, results = mask_frame(model, config, state, due)
    assert [one.prompt_id for one in results] == ["p1"]
    assert [item.key.frame_index for item in state.features] == [1]


def test_sizes_are_known_without_weights() -> None:
    """The session's edges go before the network's."""
    config = tiny_config()
    sizes = SessionConfig().sizes_of((480, 640), config)
    assert sizes.network == network_size((480, 640), config.short_edge_px, config.long_edge_px)
    assert sizes.output == (480, 640)
    assert all(side % 32 == 0 for side in sizes.padded)
    assert SessionConfig(short_edge_px=64, long_edge_px=640).sizes_of((480, 640), config).network == (64, 85)
