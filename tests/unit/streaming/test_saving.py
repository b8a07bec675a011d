"""A session can be saved at any moment and goes on from there, bit for bit."""

import math
import pickletools
from typing import Any

import msgspec
import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

from ssa_stream.errors import SessionStateError
from ssa_stream.streaming import MaskResult, ReferSession, SessionConfig, SessionState, TrackConfig
from tests.support.tiny_model import random_frames, tiny_model
from tests.unit.streaming.comparing import assert_same_results, property_test, saved

FRAMES = random_frames(9, seed=21)
CONFIG = SessionConfig(window=3, lookahead=2)


def _restored(data: bytes, config: SessionConfig) -> ReferSession:
    session = ReferSession(tiny_model(), config, ["something else"])
    session.restore(SessionState.from_bytes(data))
    return session


def _act(session: ReferSession, action: str, number: int) -> list[MaskResult]:
    match action:
        case "push":
            return session.push(FRAMES[number % len(FRAMES)])
        case "gap":
            state = session.state().decoder.timeline
            return session.push(FRAMES[0], (state.last_t or 0.0) + 100)
        case "flush":
            return session.flush()
        case "reset":
            session.reset()
        case "set":
            session.set_prompts(["the red car", f"prompt {number}"])
        case "add":
            count = len(session.prompts)
            session.add_prompt(f"a dog {count}") if count < 3 else session.set_prompts([])
        case "remove":
            session.remove_prompt(session.prompts[-1].prompt_id) if session.prompts else session.add_prompt("a dog")
    return []


_actions = st.lists(
    st.sampled_from(["push", "push", "push", "push", "add", "set", "remove", "flush", "gap", "reset"]), max_size=10
)


@pytest.mark.slow
@property_test(25)
@given(before=_actions, after=_actions, lookahead=st.integers(0, 2), emit_provisional=st.booleans())
def test_restored_session_goes_on_bit_for_bit(
    before: list[str], after: list[str], lookahead: int, emit_provisional: bool
) -> None:
    """With frames that wait, prompts not yet replayed, after resets and gaps."""
    config = SessionConfig(window=3, lookahead=lookahead, emit_provisional=emit_provisional)
    session = ReferSession(tiny_model(), config, ["the red car"])
    for number, action in enumerate(before):
        _act(session, action, number)
    other = _restored(saved(session), config)
    assert saved(other) == saved(session)
    assert (other.prompts, other.next_index) == (session.prompts, session.next_index)
    for number, action in enumerate([*after, "push", "push", "flush"]):
        assert_same_results(_act(other, action, number), _act(session, action, number))
    assert saved(other) == saved(session)


def test_restored_tensors_lie_in_memory_as_they_did() -> None:
    """The order decides how sums are rounded."""
    session = ReferSession(tiny_model(), CONFIG, ["the red car"])
    for frame in FRAMES[:4]:
        session.push(frame)
    stems = [one.stem for one in session.state().recent]
    again = [one.stem for one in SessionState.from_bytes(saved(session)).recent]
    for stem, twin in zip(stems, again, strict=True):
        assert stem is not None
        assert twin is not None
        assert stem.stride() == twin.stride()


def test_snapshot_is_not_changed_by_what_follows() -> None:
    """Going back to it repeats the stream."""
    session = ReferSession(tiny_model(), CONFIG, ["the red car"])
    for frame in FRAMES[:4]:
        session.push(frame)
    snapshot = session.state()
    content = snapshot.to_bytes()
    first = [one for frame in FRAMES[4:] for one in session.push(frame)]
    assert snapshot.to_bytes() == content
    session.restore(snapshot)
    assert_same_results([one for frame in FRAMES[4:] for one in session.push(frame)], first)


def _some_state() -> bytes:
    session = ReferSession(tiny_model(), CONFIG, ["the red car", "a dog"])
    for frame in FRAMES[:4]:
        session.push(frame)
    session.add_prompt("not yet replayed")
    return saved(session)


def test_bytes_hold_tensors_and_json_only() -> None:
    """Any reader of safetensors opens them; there is no pickle to run code with."""
    data = _some_state()
    tensors = safetensors.torch.load(data)
    assert len(tensors) > 10
    header = msgspec.json.decode(data[8 : 8 + int.from_bytes(data[:8], "little")])
    assert msgspec.json.decode(header["__metadata__"]["session"])["format"] == 2
    with pytest.raises(ValueError, match=r"opcode|literal|pickle"):
        list(pickletools.genops(data))


@property_test(60)
@given(data=st.data())
def test_damaged_bytes_are_refused(data: st.DataObject) -> None:
    """A flipped bit anywhere: in a name, a number or a tensor."""
    good = _STATE
    place = data.draw(st.integers(0, len(good) - 1) | st.integers(0, 5000))
    bit = data.draw(st.integers(0, 7))
    bad = bytearray(good)
    bad[place] ^= 1 << bit
    with pytest.raises(SessionStateError, match=r"not a session state|has format"):
        SessionState.from_bytes(bytes(bad))


@property_test(30)
@given(length=st.integers(0, 200_000), tail=st.binary(max_size=3))
def test_truncated_or_longer_bytes_are_refused(length: int, tail: bytes) -> None:
    """However much is missing, and if something is added."""
    bad = _STATE[: min(length, len(_STATE) - 1)] + tail
    with pytest.raises(SessionStateError):
        SessionState.from_bytes(bad)
    with pytest.raises(SessionStateError):
        SessionState.from_bytes(_STATE + b"x" + tail)


def _file(**metadata: str) -> bytes:
    return safetensors.torch.save({"t0": torch.zeros(2)}, metadata=metadata or None)


FOREIGN = {
    "empty": b"",
    "text": b"hello",
    "huge_header": (2**63).to_bytes(8, "little") + b"{}",
    "weights": _file(),
    "other_metadata": _file(format="pt"),
    "no_json": _file(session="hello"),
    "json_list": _file(session="[]"),
    "json_number": _file(session="1"),
    "no_state": _file(session='{"format": 2}'),
    "null_state": _file(session='{"format": 2, "digest": "", "state": null}'),
    "deep": _file(session="[" * 100_000),
    "newer_format": _file(session='{"format": 3, "digest": "", "state": {}}'),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_foreign_bytes_are_refused(kind: str) -> None:
    """Whatever file it is, the answer is the same, and says what to do."""
    with pytest.raises(SessionStateError, match="start a new session"):
        SessionState.from_bytes(FOREIGN[kind])


OTHER_CONFIGS: dict[str, dict[str, Any]] = {
    "window": {"window": 4},
    "lookahead": {"lookahead": 1},
    "half_life": {"half_life_frames": math.inf},
    "short_edge": {"short_edge_px": 64},
    "mode": {"mode": "single"},
    "tracks": {"tracks": TrackConfig(min_cosine=0.4)},
}


@pytest.mark.parametrize("kind", OTHER_CONFIGS)
def test_state_of_other_settings_is_refused(kind: str) -> None:
    """The session that was asked to restore it stays as it was."""
    session = ReferSession(
        tiny_model(), SessionConfig(**{"window": 3, "lookahead": 2, **OTHER_CONFIGS[kind]}), ["a dog"]
    )
    session.push(FRAMES[0])
    before = session.state()
    with pytest.raises(SessionStateError, match="other settings"):
        session.restore(SessionState.from_bytes(_STATE))
    assert session.state() is before


def test_state_of_another_network_is_refused() -> None:
    """Its tensors would not fit."""
    session = ReferSession(tiny_model(num_queries=1), CONFIG)
    with pytest.raises(SessionStateError, match="same model"):
        session.restore(SessionState.from_bytes(_STATE))


_STATE = _some_state()
