"""However long a stream runs, what is kept does not grow."""

import gc
import sys
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from ssa_stream.model import CarriedPool, WindowOutput
from ssa_stream.streaming import ReferSession, SessionConfig, TrackConfig
from ssa_stream.streaming.step import flush_frames
from tests.support.tiny_model import random_frames, tiny_model
from tests.unit.streaming.colour_model import COLOURS, ColourModel, draw
from tests.unit.streaming.comparing import saved

CONFIG = SessionConfig(window=4, lookahead=2, tracks=TrackConfig(max_absence_frames=3))


class Kept(NamedTuple):
    """What there is: live tensors, bytes of their storage, blocks of Python's memory, bytes of the saved state."""

    tensors: int
    storage_bytes: int
    python_blocks: int
    saved_bytes: int


def _kept(session: ReferSession) -> Kept:
    gc.collect()
    python_blocks = sys.getallocatedblocks()
    tensors = [
        one
        for one in gc.get_objects()
        if type(one) in (torch.Tensor, torch.nn.Parameter) and one.layout == torch.strided
    ]  # not the sparse and the fake ones of other tests, which have no storage
    storages = {one.untyped_storage().data_ptr(): one.untyped_storage().nbytes() for one in tensors}
    return Kept(len(tensors), sum(storages.values()), python_blocks, len(saved(session)))


def _push(session: ReferSession, start: int, count: int) -> None:
    """A restless stream: objects come and go at changing places, so that tracks end and begin."""
    colours = list(COLOURS)
    for t in range(start, start + count):
        left = 4 * (t % 13)
        things = [(colour, (left, 8 * k, left + 12, 8 * k + 8)) for k, colour in enumerate(colours) if (t >> k) % 3]
        session.push(draw(*things), t / 10)


@pytest.mark.slow
def test_ten_thousand_frames_keep_no_more_than_the_first_hundreds() -> None:
    """Tensors, their memory, Python's memory and the saved state are flat after the warm-up."""
    session = ReferSession(ColourModel(), CONFIG, ["red green blue yellow"])
    _push(session, 0, 400)
    _kept(session)  # the first look allocates, too
    first = _kept(session)
    _push(session, 400, 9_600)
    last = _kept(session)
    assert session.next_index == 10_000
    assert session.state().masks.first_free_track_id > 1_000  # tracks did come and go
    assert abs(last.tensors - first.tensors) <= 24  # of the tracks that are alive at the moment
    assert abs(last.storage_bytes - first.storage_bytes) < 4_000
    assert abs(last.python_blocks - first.python_blocks) < 2_000
    assert abs(last.saved_bytes - first.saved_bytes) < 6_000


@pytest.mark.parametrize("lookahead", [0, 2])
def test_waiting_mask_features_hold_only_their_own_memory(lookahead: int) -> None:
    """The largest tensors by far are kept for the frames that wait, and not as a part of the batch they came from."""
    session = ReferSession(tiny_model(), SessionConfig(window=5, lookahead=lookahead), ["a dog"])
    for frame in random_frames(5):
        session.push(frame)
    session.set_prompts(["a dog", "the red car", "a bird"])
    session.push(random_frames(1)[0])
    kept = session.state().masks.features
    assert len(kept) == 3 * lookahead
    for one in kept:
        assert one.features.untyped_storage().nbytes() == one.features.numel() * one.features.element_size()
    session.flush()
    assert session.state().masks.features == ()


def test_frames_are_kept_in_one_form_and_no_longer_than_the_window() -> None:
    """As network input while no prompt needs them, as prompt-free features from then on."""
    session = ReferSession(tiny_model(), SessionConfig(window=3))
    for frame in random_frames(5):
        session.push(frame)
    assert [(one.image is None, one.stem is None) for one in session.state().recent] == [(False, True)] * 3
    session.set_prompts(["a dog"])
    session.push(random_frames(1)[0])
    assert [(one.image is None, one.stem is None) for one in session.state().recent] == [(True, False)] * 3


def test_replay_encodes_no_frame_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prompt-free features are made once per frame, however many prompts come and go."""
    model, calls = tiny_model(), list[int]()

    def encode_stem(images: Tensor) -> Tensor:
        calls.append(len(images))
        return type(model).encode_stem(model, images)

    monkeypatch.setattr(model, "encode_stem", encode_stem)
    session = ReferSession(model, SessionConfig(window=3, lookahead=1), ["a dog"])
    for t, frame in enumerate(random_frames(8)):
        if t % 2:
            session.set_prompts([f"prompt {t}", f"another {t}"])
        session.push(frame)
    session.add_prompt("a bird")
    session.flush()
    assert calls == [1] * 8


def test_flush_decodes_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """All waiting frames share the newest window."""
    model, calls = tiny_model(), list[Tensor]()

    def decode_window(aligned: Tensor, text: Tensor, carried: CarriedPool) -> WindowOutput:
        calls.append(aligned)
        return type(model).decode_window(model, aligned, text, carried)

    session = ReferSession(model, SessionConfig(window=4, lookahead=3), ["a dog"])
    for frame in random_frames(5):
        session.push(frame)
    monkeypatch.setattr(model, "decode_window", decode_window)
    with torch.inference_mode():
        _, results = flush_frames(model, session.config, session.state())
    assert [one.frame_index for one in results] == [2, 3, 4]
    assert len(calls) == 1
